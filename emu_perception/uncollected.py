# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Imports of large libraries without Python's garbage collector, which finds nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import gc
import sys


@contextmanager
def uncollected(module: str) -> Iterator[None]:
    """
    Let an import be done without the collector, and what it brings be looked at never again.

    The collector walks through all there is again and again while modules are made, a fifth of the
    time of ``import torch``; and later through its three hundred thousand objects, at moments when
    an image waits. What is alive at the end is left out from then on, until ``gc.unfreeze()``.

    :param module: what is imported; nothing is done where it is there already.
    """
    if module in sys.modules:
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
