# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Atrous spatial pyramid pooling of DeepLabV3 (arXiv 1706.05587)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvNormReLU(nn.Module):
    """
    Convolution without bias, batch norm, ReLU; the size stays.

    :param channels: C of the input.
    :param outputs: of the result.
    :param kernel: side of the kernel, odd.
    :param rate: its dilation.
    """

    def __init__(self, channels: int, outputs: int, kernel: int = 1, rate: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, outputs, kernel, padding=kernel // 2 * rate,
                              dilation=rate, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, outputs, h, w]."""
        return F.relu(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Put the norm, in eval mode, into the convolution: the same function, one pass less."""
        if isinstance(self.norm, nn.BatchNorm2d):  # Once is enough.
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ASPP(nn.Module):
    """
    The same map seen at several scales: 1x1, dilated 3x3, and the mean of the whole image.

    :param channels: C of the input.
    :param dim: channels of each branch and of the result.
    :param rates: dilations of the 3x3 branches, in pixels of the map.
    :param dropout: probability of dropping a value of the result.
    """

    def __init__(self, channels: int, dim: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList([
            ConvNormReLU(channels, dim), *(ConvNormReLU(channels, dim, 3, r) for r in rates)])
        # No norm: the pooled map has one value for each image, too few for statistics.
        self.pooled = nn.Conv2d(channels, dim, 1)
        self.project = ConvNormReLU(dim * (len(rates) + 2), dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, dim, h, w]."""
        pooled = F.relu(self.pooled(x.mean((2, 3), keepdim=True)))
        maps = [branch(x) for branch in self.branches]
        maps.append(pooled.expand(-1, -1, *x.shape[-2:]))
        return self.dropout(self.project(torch.cat(maps, dim=1)))
