# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The precisions that a network runs in, by the names that commands and parameters give them."""

from __future__ import annotations

import torch

DTYPES: dict[str, torch.dtype] = {
    'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """
    Return what has a network compute in another type than its weights'; float32: as it is.

    That is not named, for an old torch (2.0) refuses float32 on a CPU even where autocast is off.
    """
    other = dtype is not torch.float32
    return torch.autocast(device.type, dtype if other else None, enabled=other)
