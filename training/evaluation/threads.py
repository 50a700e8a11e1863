# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What is made of many small steps runs in one thread.

A step over a run of pixels is over in microseconds, in several threads no sooner, and OpenMP's
other threads wait for the next one at full speed: CPU seconds for nothing, on a busy machine many
times the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch use one thread on the CPU, then as many as before: a network's bits need them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
