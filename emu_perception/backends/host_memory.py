# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a process keeps of the computer's memory without using it."""

from __future__ import annotations

import ctypes


def free_unused() -> None:
    """
    Give memory that was freed back to the system; a few milliseconds.

    glibc keeps it, by thread: without this, loading models in threads that end costs about a
    hundred megabytes. Other C libraries give it back by themselves.
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
