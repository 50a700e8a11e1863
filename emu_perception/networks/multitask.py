# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer, DepthFormer and SegDepthFormer (arXiv 2402.10580): one encoder, a head a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from emu_perception.errors import InputError
from emu_perception.networks.context import PyramidPooling
from emu_perception.networks.encoder import PyramidEncoder
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.mlp_head import MLPHead

SEGMENTATION = 'segmentation'
DEPTH = 'depth'
TASKS = (SEGMENTATION, DEPTH)
# Added to softplus: the variance divides in the GNLL, and a float32 softplus reaches 0.
VARIANCE_FLOOR = 1e-6


@dataclass(frozen=True)
class Outputs:
    """
    Maps at the image's size; None for a task the network does not have.

    :ivar logits: [B, K, H, W].
    :ivar depth: [B, H, W], metres, 0 or more.
    :ivar depth_variance: [B, H, W], m², float32, above 0.
    """

    logits: torch.Tensor | None
    depth: torch.Tensor | None
    depth_variance: torch.Tensor | None


def depth_moments(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Turn the depth head's two channels into mean and variance, equations 4 and 5 of EMUFormer.

    In float32 whatever the input: in float16 softplus underflows to 0 below about -17.

    :param raw: [B, 2, H, W], already upsampled.
    :return: mean [B, H, W] in metres, variance [B, H, W] in m².
    """
    raw = raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
    return F.relu(raw[:, 0]), F.softplus(raw[:, 1]) + VARIANCE_FLOOR


def upsample(raw: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Upsample [B, C, h, w] bilinearly to ``size`` (height, width)."""
    return F.interpolate(raw, size=size, mode='bilinear', align_corners=False)


def outputs_at(raw: Mapping[str, torch.Tensor], size: tuple[int, int]) -> Outputs:
    """Upsample the raw maps first, then apply the activations: the order of training."""
    logits = upsample(raw[SEGMENTATION], size) if SEGMENTATION in raw else None
    if DEPTH not in raw:
        return Outputs(logits, None, None)
    with torch.autocast(raw[DEPTH].device.type, enabled=False):
        return Outputs(logits, *depth_moments(upsample(raw[DEPTH].float(), size)
                                              if raw[DEPTH].dtype != torch.float64
                                              else upsample(raw[DEPTH], size)))


class MultitaskNetwork(nn.Module):
    """
    One encoder with a full all-MLP head for each task.

    With tasks ('segmentation',) it is SegFormer, with ('depth',) DepthFormer, with both
    SegDepthFormer; EMUFormer's student is a SegDepthFormer.

    :param encoder: a timm model name.
    :param tasks: a non-empty subset of ``TASKS``.
    :param num_classes: K.
    :param head_dim: D of every head (768 for MiT-B2..B5, 256 for B0 and B1).
    :param head_dropout: dropout before each head's last layer.
    :param context: None, or 'pyramid_pooling' on the 1/32 map.
    :param encoder_arguments: further arguments of the timm model.
    :raises InputError: if an argument is out of its range.
    """

    def __init__(self, encoder: str, tasks: Sequence[str] = TASKS, num_classes: int = 40,
                 head_dim: int = 256, head_dropout: float = 0.1, context: str | None = None,
                 encoder_arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        unknown = [task for task in tasks if task not in TASKS]
        if unknown or not tasks or len(set(tasks)) != len(tasks):
            raise InputError(f'tasks is {list(tasks)}: give one or both of {list(TASKS)}')
        if not isinstance(num_classes, int) or not 1 <= num_classes <= 255:
            raise InputError(f'num_classes is {num_classes}: labels are uint8 with 255 = '
                             'unlabelled, give 1 to 255')
        # The upper bound keeps a damaged checkpoint from asking for all of the memory.
        if not isinstance(head_dim, int) or not 1 <= head_dim <= 4096:
            raise InputError(f'head_dim is {head_dim}: give 1 to 4096')
        if not isinstance(head_dropout, (int, float)) or not 0 <= head_dropout < 1:
            raise InputError(f'head_dropout is {head_dropout}: give 0 up to below 1')
        if context not in (None, 'pyramid_pooling'):
            raise InputError(f"context is '{context}': give null or pyramid_pooling")
        self.arguments: dict[str, Any] = {
            'encoder': encoder, 'tasks': list(tasks), 'num_classes': num_classes,
            'head_dim': head_dim, 'head_dropout': head_dropout, 'context': context,
            'encoder_arguments': dict(encoder_arguments or {})}
        self.tasks = tuple(tasks)
        self.encoder = PyramidEncoder(encoder, encoder_arguments)
        channels = self.encoder.channels
        self.context = PyramidPooling(channels[-1]) if context else nn.Identity()
        outputs = {SEGMENTATION: num_classes, DEPTH: 2}
        self.heads = nn.ModuleDict({
            task: MLPHead(channels, head_dim, outputs[task], head_dropout) for task in tasks})

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map normalised images [B, 3, H, W] to the four maps that the heads read."""
        *fine, coarsest = self.encoder(images)
        return [*fine, self.context(coarsest)]

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map normalised images [B, 3, H, W] to raw maps [B, C, H/4, W/4] by task."""
        features = self.features(images)
        return {task: head(features) for task, head in self.heads.items()}

    def forward_published(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute ``forward`` with the heads as published: the reference."""
        features = self.features(images)
        return {task: head.forward_published(features) for task, head in self.heads.items()}

    @torch.no_grad()
    def initialize_depth(self, mean_m: float, variance_m2: float) -> None:
        """
        Start the depth head at the data's mean depth and a variance of its order.

        A ReLU that starts below zero everywhere has no gradient and never wakes.
        """
        if DEPTH not in self.heads:
            return
        classifier = self.heads[DEPTH].classifier
        nn.init.normal_(classifier.weight, std=0.01)
        # Data of one depth has variance 0, whose inverse softplus is -inf.
        variance_m2 = max(VARIANCE_FLOOR, variance_m2)
        # The inverse of softplus, log(exp(v) - 1), in a form that does not overflow.
        raw_variance = variance_m2 + torch.log(-torch.expm1(torch.tensor(-variance_m2)))
        classifier.bias.copy_(torch.stack([torch.tensor(mean_m), raw_variance]))

    def folded(self) -> FoldedNetwork:
        """Return the inference form: a copy in eval mode; this network is not touched."""
        return FoldedNetwork(self)


class FoldedNetwork(nn.Module):
    """The network with its heads folded (``folding.py``): what inference runs, in eval mode."""

    def __init__(self, network: MultitaskNetwork) -> None:
        super().__init__()
        self.tasks = network.tasks
        # Copies: whoever goes on to train the network must not find its encoder frozen, moved to
        # another device or in eval mode.
        self.encoder = copy.deepcopy(network.encoder)
        self.context = copy.deepcopy(network.context)
        self.heads = FoldedHeads(dict(network.heads.items()))  # type: ignore[arg-type]
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map normalised images [B, 3, H, W] to raw maps [B, C, H/4, W/4] by task."""
        *fine, coarsest = self.encoder(images)
        return self.heads([*fine, self.context(coarsest)])


def segformer(encoder: str, num_classes: int, **kwargs: Any) -> MultitaskNetwork:
    """Build the segmentation-only network."""
    return MultitaskNetwork(encoder, (SEGMENTATION,), num_classes, **kwargs)


def depthformer(encoder: str, **kwargs: Any) -> MultitaskNetwork:
    """Build the depth-only network."""
    return MultitaskNetwork(encoder, (DEPTH,), **kwargs)


def segdepthformer(encoder: str, num_classes: int, **kwargs: Any) -> MultitaskNetwork:
    """Build the network with both heads."""
    return MultitaskNetwork(encoder, TASKS, num_classes, **kwargs)
