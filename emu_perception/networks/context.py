# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Wide context for convolutional encoders, whose coarsest map sees less than attention does."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception.networks.mix_transformer import (
    BLOCK_EPS,
    EMBED_EPS,
    initialize_weights,
    Stage,
)
import torch
from torch import nn
from torch.nn import functional as F


class PyramidPooling(nn.Module):
    """
    Pyramid pooling (PSPNet, arXiv 1612.01105) on one map, as a residual of the same shape.

    It comes before the heads, which therefore still fold exactly.

    :param channels: C of the map.
    :param dim: channels of each pooled branch.
    :param bins: sides of the pooled grids.
    """

    def __init__(self, channels: int, dim: int = 64, bins: Sequence[int] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.bins = tuple(bins)
        # No norm on the branches: a 1x1 grid has one value for each image, too few for statistics.
        self.branches = nn.ModuleList([nn.Conv2d(channels, dim, 1) for _ in self.bins])
        self.project = nn.Conv2d(channels + dim * len(self.bins), channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, C, h, w]."""
        maps = [x]
        for side, branch in zip(self.bins, self.branches):
            pooled = F.relu(branch(F.adaptive_avg_pool2d(x, side)))
            maps.append(F.interpolate(pooled, size=x.shape[-2:], mode='bilinear',
                                      align_corners=False))
        return x + F.relu(self.norm(self.project(torch.cat(maps, dim=1))))


class TransformerContext(nn.Module):
    """
    Self-attention over one map, as a residual of the same shape: two blocks of SegFormer's.

    Any size of map: the position comes from the 3x3 convolution in each feed-forward part. It
    starts as the identity, so that pretrained maps reach the heads as they are.

    :param channels: C of the map.
    :param dim: channels of the blocks.
    :param heads: of the attention.
    :param depth: how many blocks.
    """

    def __init__(self, channels: int, dim: int = 128, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.blocks = Stage(channels, dim, kernel=1, stride=1, heads=heads, reduction=1,
                            mlp_ratio=4, dropout=0.0, attention_dropout=0.0,
                            drop_paths=[0.0] * depth, block_eps=BLOCK_EPS, embed_eps=EMBED_EPS)
        self.project = nn.Conv2d(dim, channels, 1)
        self.blocks.apply(initialize_weights)
        for parameter in self.project.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, C, h, w]."""
        return x + self.project(self.blocks(x))


CONTEXTS: dict[str, type[PyramidPooling] | type[TransformerContext]] = {
    'pyramid_pooling': PyramidPooling, 'transformer': TransformerContext}
