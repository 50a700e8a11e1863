# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The precisions that a network runs in, by the names that commands and parameters give them."""

from __future__ import annotations

import torch

DTYPES: dict[str, torch.dtype] = {
    'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
