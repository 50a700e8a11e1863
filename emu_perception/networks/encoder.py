# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Any timm ``features_only`` model as a pyramid of four maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

from emu_perception.errors import InputError

STRIDES = (4, 8, 16, 32)


class PyramidEncoder(nn.Module):
    """
    A timm encoder that returns its last map of each stride in ``STRIDES``.

    :param name: a timm model name, for example ``mit_b2`` or ``tf_efficientnet_lite0``.
    :param arguments: further arguments of that model (``drop_path_rate`` ...).
    :raises InputError: if timm does not know the name or a stride is missing.
    """

    def __init__(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        try:
            self.model = timm.create_model(name, pretrained=False, features_only=True,
                                           **(arguments or {}))
        except (RuntimeError, TypeError, AttributeError, KeyError) as error:
            raise InputError(f"encoder '{name}' with {arguments or {}} cannot be made by timm "
                             f'{timm.__version__}: {error}') from error
        reductions = self.model.feature_info.reduction()
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise InputError(f"encoder '{name}' has maps at strides {reductions}, but none at "
                             f'{missing}: choose one with strides {list(STRIDES)}')
        self.name = name
        self._indices = [len(reductions) - 1 - reductions[::-1].index(s) for s in STRIDES]
        channels = self.model.feature_info.channels()
        self.channels: tuple[int, ...] = tuple(channels[i] for i in self._indices)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map images [B, 3, H, W] to maps [B, C_i, ceil(H/s_i), ceil(W/s_i)], finest first."""
        maps = self.model(images)
        return [maps[i] for i in self._indices]
