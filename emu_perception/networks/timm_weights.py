# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Published weights of the encoders that timm knows by name: DINOv2, DINOv3 and other ViTs.

timm's own conversions read the layouts of the original repositories, and resample patch and
position embeddings to the network's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import sys
from typing import Any

from emu_perception.errors import InputError, text_of
from emu_perception.networks.encoder import timm_model
from emu_perception.networks.vit_encoder import is_vit
import timm
import torch

Weights = Mapping[str, torch.Tensor]
# By timm's name of a licence; others are named as timm names them.
LICENCES = {
    'apache-2.0': 'Apache-2.0', 'mit': 'MIT', 'cc-by-nc-4.0': 'CC-BY-NC-4.0: non-commercial only',
    'dinov3-license': 'DINOv3 License: read its conditions before you pass on what is made of '
                      'them (https://ai.meta.com/resources/models-and-libraries/dinov3-license/)',
    'fair-noncommercial-research-license': 'FAIR Noncommercial Research License: non-commercial '
                                           'only'}


def hub_repository(encoder: str) -> str | None:
    """Return the hub's repository of an encoder's weights; None where this package knows none."""
    if not is_vit(encoder) and 'dinov3' not in encoder:
        return None
    configuration = timm.get_pretrained_cfg(encoder)
    return configuration.hf_hub_id if configuration is not None else None


def licence_of(encoder: str) -> str:
    """Return the licence of an encoder's published weights, with their name."""
    configuration = timm.get_pretrained_cfg(encoder)
    if configuration is None or not configuration.license:
        return f'{encoder} weights: a licence that timm does not name'
    name = '.'.join(filter(None, (configuration.architecture, configuration.tag)))
    return f'{name} weights: {LICENCES.get(configuration.license, configuration.license)}'


def timm_encoder_weights(encoder: str, arguments: Mapping[str, Any], model: Any,
                         weights: Weights) -> dict[str, torch.Tensor]:
    """
    Return the weights of an encoder under timm's names, of whatever layout timm can read.

    :param arguments: that the encoder was made with.
    :param model: the encoder's timm model, to whose patches and grid embeddings are resampled.
    :raises InputError: if timm cannot convert them, or they have what this encoder has no place
        for.
    """
    if not is_vit(encoder):  # One that was taken apart: its names are those of the whole.
        with torch.device('meta'):
            model = timm_model(encoder, dict(arguments), num_classes=0)
    convert: Callable[[dict[str, torch.Tensor], Any], dict[str, torch.Tensor]] | None = getattr(
        sys.modules[type(model).__module__], 'checkpoint_filter_fn', None)
    if convert is None:
        return dict(weights)
    try:
        return convert(_without_key_biases(encoder, model, weights), model)
    except Exception as error:  # timm's conversions raise many kinds; all mean the same here.
        raise InputError(f"initial weights do not fit encoder '{encoder}': timm "
                         f'{timm.__version__} cannot convert them '
                         f'({type(error).__name__}: {text_of(error)[:200]})'
                         ) from error


def _without_key_biases(encoder: str, model: Any, weights: Weights) -> dict[str, torch.Tensor]:
    """
    Return DINOv3's weights without biases of zero that the encoder leaves out.

    timm has each DINOv3 with them and without; those of keys are masked and never count.
    """
    biased = is_vit(encoder) and getattr(model.blocks[0].attn, 'q_bias', None) is not None
    if 'storage_tokens' not in weights or biased:
        return dict(weights)
    found = {}
    for name, tensor in weights.items():
        if name.endswith('qkv.bias'):
            query, _, value = tensor.chunk(3)
            if query.any() or value.any():
                raise InputError(f"initial weights have biases in '{name}', which encoder "
                                 f"'{encoder}' has not: choose the one whose name ends with "
                                 "'_qkvb'")
            continue
        found[name] = tensor
    return found
