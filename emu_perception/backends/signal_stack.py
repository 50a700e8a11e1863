# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The stack that signals are handled on stays the process's own, whatever a library sets.

OpenVINO's CPU plugin gives the thread that loads it a stack of its own, and frees it with the
plugin. Of two plugins the one that goes last restores that of the first, which is gone: the next
signal, be it Ctrl-C, ends the process with a segmentation fault (seen with 2026's OpenVINO).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import sys


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = [('pointer', ctypes.c_void_p), ('flags', ctypes.c_int), ('size', ctypes.c_size_t)]


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Put this thread's stack for signals back when the block ends; Linux only."""
    call = getattr(ctypes.CDLL(None), 'sigaltstack', None) if sys.platform == 'linux' else None
    before = _Stack()
    if call is None or call(None, ctypes.byref(before)):
        yield
        return
    try:
        yield
    finally:
        call(ctypes.byref(before), None)
