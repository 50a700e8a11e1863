# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Any timm model that can trade stride for dilation, as one map at a given output stride."""

from __future__ import annotations

from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.encoder import features_model
import torch
from torch import nn

OUTPUT_STRIDES = (8, 16, 32)


class DilatedEncoder(nn.Module):
    """
    A timm encoder whose last stages are dilated instead of strided.

    :param name: a timm model name, for example ``resnet101``.
    :param output_stride: of the map it returns, one of ``OUTPUT_STRIDES``.
    :param arguments: further arguments of that model, none that makes timm read a file or fetch
        weights.
    :ivar channels: C of the map.
    :raises InputError: if timm does not know the name, or cannot dilate it to that stride.
    """

    def __init__(self, name: str, output_stride: int = 8,
                 arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        if output_stride not in OUTPUT_STRIDES or isinstance(output_stride, (bool, float)):
            raise InputError(f'output_stride is {output_stride}: give one of '
                             f'{list(OUTPUT_STRIDES)}')
        self.model = features_model(name, arguments or {}, output_stride=output_stride,
                                    out_indices=(-1,))
        found = self.model.feature_info.reduction()[-1]
        if found != output_stride:
            raise InputError(f"encoder '{name}' ends at stride {found} where output_stride is "
                             f'{output_stride}: choose another encoder, a ResNet for example')
        self.name = name
        self.channels = int(self.model.feature_info.channels()[-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, 3, H, W] to [B, C, ceil(H/output_stride), ceil(W/output_stride)]."""
        features: torch.Tensor = self.model(images)[-1]
        return features
