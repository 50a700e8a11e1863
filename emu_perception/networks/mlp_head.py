# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The all-MLP head of SegFormer (arXiv 2105.15203), with the published parameters.

Published layout: for each scale i a linear layer L_i (C_i -> D), bilinear upsampling to 1/4 of the
image, concatenation c4..c1, a linear layer F (4D -> D), batch norm, ReLU, dropout, and a linear
layer to the outputs. ``forward`` computes the same function folded (see ``folding.py``), in
training too; ``forward_published`` is the layout as it was published, kept as the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

# Before softplus: 0.05 nats, or m².
EPISTEMIC_START = -3.0


def fused_map(features: Sequence[torch.Tensor], weights: Sequence[torch.Tensor],
              bias: torch.Tensor) -> torch.Tensor:
    """
    Return sum_i up(W_i x_i) + bias at the size of the finest map.

    :param features: maps [B, C_i, h_i, w_i], finest first.
    :param weights: [D, C_i] for each map.
    :param bias: [D].
    :return: [B, D, h_0, w_0].
    """
    size = features[0].shape[-2:]
    total = F.conv2d(features[0], weights[0][:, :, None, None], bias)
    for x, weight in zip(features[1:], weights[1:]):
        y = F.conv2d(x, weight[:, :, None, None])
        total = total + F.interpolate(y, size=size, mode='bilinear', align_corners=False)
    return total


class MLPHead(nn.Module):
    """
    One head.

    :param channels: channels of the four maps, finest first.
    :param dim: D, the width of the head.
    :param outputs: channels of the result.
    :param dropout: probability of dropping a whole channel before the last layer.
    :param epistemic: whether a further last layer of one channel reads what the last layer reads;
        that channel comes last.
    """

    def __init__(self, channels: Sequence[int], dim: int, outputs: int,
                 dropout: float = 0.1, *, epistemic: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.linear = nn.ModuleList([nn.Linear(c, dim) for c in channels])
        self.fuse = nn.Conv2d(len(channels) * dim, dim, 1, bias=False)
        self.norm = nn.BatchNorm2d(dim)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(dim, outputs, 1)
        self.epistemic = nn.Conv2d(dim, 1, 1) if epistemic else None
        if self.epistemic is not None:  # Little is not known, everywhere alike, to begin with.
            nn.init.normal_(self.epistemic.weight, std=0.01)
            nn.init.constant_(self.epistemic.get_parameter('bias'), EPISTEMIC_START)

    def composed(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """
        Return fuse and per-scale layers as one linear map each, differentiable.

        :return: weights F_i·L_i of shape [D, C_i], finest first, and the summed bias
            sum F_i·b_i of shape [D].
        """
        # F's columns are in the published order c4, c3, c2, c1: coarsest first.
        blocks = self.fuse.weight.flatten(1).split(self.dim, dim=1)[::-1]
        weights = [f @ layer.weight for f, layer in zip(blocks, self.linear)]
        bias = torch.stack([f @ layer.bias for f, layer in zip(blocks, self.linear)]).sum(0)
        return weights, bias

    def finish(self, x: torch.Tensor) -> torch.Tensor:
        """Apply norm, ReLU, dropout and the last layer to the fused map [B, D, h, w]."""
        hidden = self.dropout(F.relu(self.norm(x)))
        if self.epistemic is None:
            return self.classifier(hidden)
        return torch.cat([self.classifier(hidden), self.epistemic(hidden)], dim=1)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map the four maps to [B, outputs, H/4, W/4]."""
        return self.finish(fused_map(features, *self.composed()))

    def forward_published(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute ``forward`` as published: the reference of tests and benchmarks."""
        size = features[0].shape[-2:]
        maps = []
        for x, layer in zip(features, self.linear):
            y = layer(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[-2:])
            maps.append(F.interpolate(y, size=size, mode='bilinear', align_corners=False))
        return self.finish(self.fuse(torch.cat(maps[::-1], dim=1)))
