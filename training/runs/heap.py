# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that a step frees stays the process's own: the next step takes it again at once."""

from __future__ import annotations

import ctypes
import sys

# <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD_BYTES = 128 << 20


def keep_freed_memory() -> bool:
    """
    Have glibc keep what is freed, and take large blocks from it too; return whether it does.

    PyTorch on a CPU allocates every map anew. By default each larger one is mapped from the
    system and given back, so that the kernel zeroes all of a step's gigabytes page by page: a
    sixth to a fifth of the CPU seconds of a step (docs/training.md). The process holds its peak
    memory until it ends.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)  # Not every C library has it.
    if mallopt is None:
        return False
    # -1 = never; each call returns 0 where it has no effect.
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, -1),
                mallopt(_TOP_PAD, _PAD_BYTES)])
