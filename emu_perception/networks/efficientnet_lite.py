# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
EfficientNet-Lite 0 to 4 as feature extractors, without timm: the default model's encoder.

timm's ``tf_efficientnet_lite0``..``4`` with ``features_only``, to the bit and by the names of its
tensors (``test/core/test_efficientnet_lite.py`` holds both together). What timm brings with it,
torchvision and half of torch's compiler, is a fifth of a node's memory and half of its start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from emu_perception.networks.drop_path import DropPath
import torch
from torch import nn
from torch.nn import functional as F

STEM = 32
# Of each of the seven stages; widths and depths are of a variant.
KERNELS, STRIDES, EXPANSION = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), 6
# The last stage at each stride of 2, 4, 8, 16 and 32.
ENDS = (0, 1, 2, 4, 6)
CONFIGURATIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    'tf_efficientnet_lite0': ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    'tf_efficientnet_lite1': ((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    'tf_efficientnet_lite2': ((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
    'tf_efficientnet_lite3': ((24, 32, 48, 96, 136, 232, 384), (1, 3, 3, 5, 5, 6, 1)),
    'tf_efficientnet_lite4': ((24, 32, 56, 112, 160, 272, 448), (1, 4, 4, 6, 6, 8, 1)),
}
# What timm calls the variant's defaults, of TensorFlow.
_EPS, _MOMENTUM = 1e-3, 0.1


@dataclass(frozen=True)
class FeatureInfo:
    """What timm says of the maps of a feature extractor: channels, strides, modules' names."""

    widths: tuple[int, ...]

    def channels(self) -> list[int]:
        """Return the channels of each map."""
        return [self.widths[end] for end in ENDS]

    def reduction(self) -> list[int]:
        """Return the stride of each map."""
        return [math.prod((2, *STRIDES[:end + 1])) for end in ENDS]

    def module_name(self) -> list[str]:
        """Return the name of the module whose output each map is."""
        return [f'blocks.{end}' for end in ENDS]


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 that pads as TensorFlow does: the odd pixel right and below."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, H, W] to [B, C', ceil(H/2), ceil(W/2)]."""
        down, across = (kernel - 2 + int(side) % 2
                        for kernel, side in zip(self.kernel_size, x.shape[-2:]))
        x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _conv(channels: int, out: int, kernel: int, stride: int = 1, *, depthwise: bool = False
          ) -> nn.Conv2d:
    kind = nn.Conv2d if stride == 1 else SameConv2d
    return kind(channels, out, kernel, stride, kernel // 2 if stride == 1 else 0, bias=False,
                groups=channels if depthwise else 1)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, _EPS, _MOMENTUM)


class SeparableBlock(nn.Module):
    """A convolution by channel and one by pixel: the first stage."""

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = _conv(channels, channels, kernel, depthwise=True)
        self.bn1 = _norm(channels)
        self.conv_pw = _conv(channels, out, 1)
        self.bn2 = _norm(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, H, W] to [B, out, H, W]; out is not C, so nothing is added."""
        x = F.relu6(self.bn1(self.conv_dw(x)), inplace=True)
        return self.bn2(self.conv_pw(x))


class InvertedResidual(nn.Module):
    """Wider, by channel, narrower; added to its input where that has the same shape."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, drop_path: float
                 ) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.conv_pw = _conv(channels, wide, 1)
        self.bn1 = _norm(wide)
        self.conv_dw = _conv(wide, wide, kernel, stride, depthwise=True)
        self.bn2 = _norm(wide)
        self.conv_pwl = _conv(wide, out, 1)
        self.bn3 = _norm(out)
        self.added = stride == 1 and channels == out
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, H, W] to [B, out, ceil(H/stride), ceil(W/stride)]."""
        given = x
        x = F.relu6(self.bn1(self.conv_pw(x)), inplace=True)
        x = F.relu6(self.bn2(self.conv_dw(x)), inplace=True)
        x = self.bn3(self.conv_pwl(x))
        return self.drop_path(x) + given if self.added else x


class EfficientNetLite(nn.Module):
    """
    The maps at strides 2, 4, 8, 16 and 32.

    :param widths: channels of each of the seven stages.
    :param depths: blocks of each.
    :param drop_path_rate: stochastic depth; a block's share of it rises linearly from 0.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int],
                 drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.feature_info = FeatureInfo(tuple(widths))
        self.conv_stem = _conv(3, STEM, 3, 2)
        self.bn1 = _norm(STEM)
        stages: list[nn.Sequential] = []
        channels, block, blocks = STEM, 0, sum(depths)
        for stage, (out, depth) in enumerate(zip(widths, depths, strict=True)):
            made: list[nn.Module] = []
            for number in range(depth):
                stride = STRIDES[stage] if number == 0 else 1
                made.append(SeparableBlock(channels, out, KERNELS[stage]) if stage == 0
                            else InvertedResidual(channels, out, KERNELS[stage], stride,
                                                  drop_path_rate * block / blocks))
                channels, block = out, block + 1
            stages.append(nn.Sequential(*made))
        self.blocks = nn.Sequential(*stages)
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map images [B, 3, H, W] to five maps [B, C_i, ceil(H/s_i), ceil(W/s_i)]."""
        x = F.relu6(self.bn1(self.conv_stem(x)), inplace=True)
        maps = []
        for stage, module in enumerate(self.blocks):
            x = module(x)
            if stage in ENDS:
                maps.append(x)
        return maps


def _initialize(module: nn.Module) -> None:
    """Draw a convolution's weights as He et al. (arXiv 1502.01852) do, by its outputs."""
    if isinstance(module, nn.Conv2d):
        out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / out))


def efficientnet_lite(name: str, drop_path_rate: float = 0.0) -> EfficientNetLite:
    """Return the variant of that name, one of ``CONFIGURATIONS``, with random weights."""
    return EfficientNetLite(*CONFIGURATIONS[name], drop_path_rate=drop_path_rate)
