# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What all threads of a process share of CUDA: its cache of memory, and the turn to capture."""

from __future__ import annotations

import threading

import torch

# PyTorch allows one capture at a time in a process, and no emptying of its cache during one.
CAPTURE = threading.Lock()


def free_unused() -> None:
    """Give memory that PyTorch keeps without using it back to the GPU."""
    with CAPTURE:
        torch.cuda.empty_cache()
