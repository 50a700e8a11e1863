# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of many small steps runs in one thread: others would only wait between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """
    Have torch use one thread on the CPU, then as many as before.

    A step over a run of pixels is over in microseconds. OpenMP's other threads wait for the next
    one at full speed: CPU seconds for nothing, and on a busy machine many times the work itself.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
