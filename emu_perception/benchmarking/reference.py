# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What is compared against: the published layout, with the same weights, end to end.

``unfolded`` is this package's network with its heads as published and the textbook's maps;
``reference`` is transformers' SegFormer with the same weights and a second decode head for depth.
"""

from __future__ import annotations

from collections.abc import Callable
import copy
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.networks.families import Network
from emu_perception.networks.mix_transformer import CONFIGURATIONS
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.networks.pretrained import mit_encoder_weights, segformer_head_weights
from emu_perception.precisions import autocast, DTYPES
from emu_perception.preprocessing import network_size, resized_image
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Raw = Callable[[torch.Tensor], dict[str, torch.Tensor]]
Moments = Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


class Textbook:
    """
    uint8 image to maps as the formulas read: softmax of all classes at full size, -sum p log p.

    :param raw: normalised image [1, 3, h, w] to raw maps by task.
    :param moments: upsampled depth map and end of the range to depth and variance; None = those
        of the paper's networks.
    """

    def __init__(self, raw: Raw, metadata: CheckpointMetadata, device: torch.device,
                 precision: str = 'fp32', moments: Moments | None = None) -> None:
        self._moments = moments or _textbook_moments
        self.raw, self.metadata, self.device = raw, metadata, device
        self.dtype = DTYPES[precision]
        self._mean = torch.tensor(metadata.mean).view(3, 1, 1)
        self._std = torch.tensor(metadata.std).view(3, 1, 1)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the maps at the image's size, in host memory."""
        size = image.shape[:2]
        at = network_size((size[0], size[1]), self.metadata.input_size)
        x = torch.from_numpy(resized_image(image, at).copy()).permute(2, 0, 1).float() / 255.0
        x = ((x - self._mean) / self._std)[None].to(self.device)
        with autocast(self.device, self.dtype):
            raw = self.raw(x)
        maps: dict[str, torch.Tensor] = {}
        if SEGMENTATION in raw:
            logits = _upsampled(raw[SEGMENTATION].float(), size)
            p = (logits / self.metadata.calibration.temperature).softmax(dim=1)
            maps['label'] = p.argmax(dim=1).to(torch.uint8)
            maps['segmentation_entropy'] = -(p * p.clamp(min=1e-12).log()).sum(dim=1)
            maps['confidence'] = p.max(dim=1).values
        if DEPTH in raw:
            maps['depth'], variance = self._moments(_upsampled(raw[DEPTH].float(), size),
                                                    self.metadata.depth_max)
            maps['depth_variance'] = variance * self.metadata.calibration.variance_scale
        return {name: values[0].cpu().numpy() for name, values in maps.items()}


def _textbook_moments(raw: torch.Tensor, depth_max: float) -> tuple[torch.Tensor, torch.Tensor]:
    mean, variance = raw.unbind(1)
    return F.relu(mean), F.softplus(variance) + 1e-6


def _moments_of(network: Network) -> Moments | None:
    """Return how a network's depth channels are read; None = as the paper has it."""
    plain = isinstance(network, MultitaskNetwork) and not network.depth_form.logarithmic
    return None if plain else network.depth_moments


def unfolded(network: Network, metadata: CheckpointMetadata, device: torch.device,
             precision: str) -> Textbook:
    """Return this package's network with its heads as published."""
    # Not the network itself, which others go on to copy and measure where it is.
    moved = network if device.type == 'cpu' else copy.deepcopy(network).to(device)
    moments = _moments_of(moved)
    return Textbook(moved.forward_published, metadata, device, precision, moments)


def reference(network: Network, metadata: CheckpointMetadata, device: torch.device,
              precision: str) -> Textbook:
    """
    Return transformers' SegFormer with this network's weights, a decode head for each task.

    :raises InputError: if the network is no MiT with plain heads, or transformers is missing.
    """
    if not isinstance(network, MultitaskNetwork):
        raise InputError(f"reference: a network of the family '{network.family}' is no SegFormer: "
                         'compare against unfolded')
    model = TransformersNetwork(network).to(device).eval()
    return Textbook(model, metadata, device, precision, _moments_of(network))


class TransformersNetwork(nn.Module):
    """A SegFormer of the ``transformers`` package for each task, on one encoder."""

    def __init__(self, network: MultitaskNetwork) -> None:
        super().__init__()
        name = network.arguments['encoder']
        if name not in CONFIGURATIONS or network.arguments['context']:
            raise InputError(f"reference: encoder '{name}' with context "
                             f"{network.arguments['context']} is no SegFormer: compare against "
                             'unfolded')
        try:
            import transformers
        except ImportError as error:
            raise InputError('reference: pip install transformers') from error
        widths, depths = CONFIGURATIONS[name]
        outputs = {SEGMENTATION: network.arguments['num_classes'], DEPTH: 2}
        self.tasks = network.tasks
        models = {}
        for task in network.tasks:
            settings: dict[str, Any] = {
                'hidden_sizes': list(widths), 'depths': list(depths), 'num_labels': outputs[task],
                'decoder_hidden_size': network.arguments['head_dim']}
            config = transformers.SegformerConfig(**settings)
            models[task] = transformers.SegformerForSemanticSegmentation(config)
            _copy(network, task, models[task])
        first = models[network.tasks[0]]
        self.encoder = first.segformer
        self.heads = nn.ModuleDict({task: model.decode_head for task, model in models.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map normalised images to raw maps by task."""
        states = self.encoder(x, output_hidden_states=True).hidden_states
        return {task: head(states) for task, head in self.heads.items()}


@torch.no_grad()
def _copy(network: MultitaskNetwork, task: str, model: nn.Module) -> None:
    """Give a transformers model our weights; each of its tensors is found by how it is read."""
    theirs = model.state_dict()
    names = list(theirs)
    # Every tensor of theirs is numbered, read as ours would be, and its number says which it is.
    numbered: dict[str, Any] = {
        name: torch.full(tensor.shape or (1,), float(i)) for i, (name, tensor) in enumerate(
            theirs.items())}
    own_encoder = network.encoder.model.state_dict()
    pairs = [(own_encoder, mit_encoder_weights(numbered)),
             (network.head(task).state_dict(), segformer_head_weights(numbered))]
    for own, read in pairs:
        prefix = 'stages_' if any(key.startswith('stages_') for key in own) else 'stages.'
        for key, marks in read.items():
            source = own[key.replace('stages.', prefix, 1) if key.startswith('stages.') else key]
            if source.ndim == 0:
                theirs[names[int(marks.item())]].copy_(source)
                continue
            # keys and values are one tensor here and two there, one above the other.
            for number in marks.flatten().unique():
                rows = marks.flatten(1)[:, 0] == number if marks.ndim > 1 else marks == number
                target = theirs[names[int(number)]]
                target.copy_(source[rows].view_as(target))


def _upsampled(raw: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    return F.interpolate(raw, size=tuple(size), mode='bilinear', align_corners=False)
