# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a GPU does in one kernel; each has a plain form in PyTorch beside it, which is the reference.

``fused.py`` holds the Triton kernels, ``resampling.py`` and ``classifier.py`` what calls them.
"""

from __future__ import annotations

from importlib.util import find_spec
import os

import torch


def triton_runs_on(device: torch.device) -> bool:
    """
    Return whether the Triton kernels can be tried there.

    On a CPU only in Triton's interpreter (``TRITON_INTERPRET=1``), which is slow and for tests.
    """
    if find_spec('triton') is None:
        return False
    return device.type == 'cuda' or os.environ.get('TRITON_INTERPRET') == '1'


__all__ = ['triton_runs_on']
