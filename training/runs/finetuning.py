# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which part learns: of a pretrained encoder all, none, blocks, low-rank additions; of heads."""

from __future__ import annotations

import logging

from emu_perception.networks.families import Network
from emu_perception.networks.vit_encoder import ViTEncoder
from torch import nn

from ..recipes.options import RecipeError
from ..recipes.sections import FinetuneOptions
from .added_outputs import EPISTEMIC_PART
from .lora import add_low_rank

LOGGER = logging.getLogger('training')


def restrict(network: Network, options: FinetuneOptions) -> None:
    """
    Let only the part of the encoder learn that a recipe says; its pyramid and the heads always do.

    :raises RecipeError: if this encoder has no such part.
    """
    if options.heads == 'epistemic':
        _only_epistemic(network)
        return
    if options.encoder == 'all':
        return
    encoder, model = network.encoder, network.encoder.model
    if options.encoder == 'none':
        # Its batch norms use the statistics they came with: see ``TrainingModule.train``.
        model.requires_grad_(False)
    else:
        if not isinstance(encoder, ViTEncoder):
            raise RecipeError(f"field 'finetune.encoder' is '{options.encoder}', but "
                              f"'{encoder.name}' is no vision transformer: give 'all' or 'none'")
        model.requires_grad_(False)
        if options.encoder == 'last':
            if options.blocks > len(model.blocks):
                raise RecipeError(f"field 'finetune.blocks' is {options.blocks}, but "
                                  f"'{encoder.name}' has {len(model.blocks)}: lower it")
            for part in (*model.blocks[-options.blocks:], model.norm):
                part.requires_grad_(True)
        else:
            add_low_rank([layer for block in model.blocks for layer in block.attn.modules()
                          if isinstance(layer, nn.Linear)], options.rank, options.alpha)
    _say(f'encoder={options.encoder}', network)


def _only_epistemic(network: Network) -> None:
    network.requires_grad_(False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(EPISTEMIC_PART in name)
    _say('heads=epistemic', network)


def _say(what: str, network: Network) -> None:
    counts = [sum(parameter.numel() for parameter in network.parameters()
                  if parameter.requires_grad or not learning) for learning in (True, False)]
    LOGGER.info('finetune.%s: %.6g of %.2f million parameters learn', what, counts[0] / 1e6,
                counts[1] / 1e6)
