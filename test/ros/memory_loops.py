# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Loads, uses and frees models again and again, and prints the memory after each time, as JSON.

A process of its own, so that nothing but this is measured. Arguments: what to do ('configure' or
'swap'), the backend, how often, how many bytes to lose on purpose each time, and two checkpoints.

Two figures: what is allocated (``heap``), nearly the same each time where nothing is kept; and
what is in memory (``resident``), where the allocator's arenas and libraries' pages come and go.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
from pathlib import Path
import sys
import threading

from emu_perception.ros.predictor_pool import load_predictor, PredictorPool, SharedPredictor
import numpy as np

PAGE = os.sysconf('SC_PAGE_SIZE')


def resident_bytes() -> int:
    """Return how much of this process is in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE


class _Mallinfo2(ctypes.Structure):
    """glibc's own account, of all arenas; bytes."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
        'fordblks', 'keepcost')]


def heap_bytes() -> int | None:
    """Return what malloc has given out and not got back; None where it does not tell (glibc)."""
    mallinfo2 = getattr(ctypes.CDLL(None), 'mallinfo2', None)
    if mallinfo2 is None:
        return None
    mallinfo2.restype = _Mallinfo2
    found = mallinfo2()
    # Blocks in the arenas, and those that were mapped one by one.
    return int(found.uordblks + found.hblkhd)


def taken(pool: PredictorPool, path: Path, backend: str) -> SharedPredictor:
    """Return a network that was loaded in a thread of its own, as a model that takes over is."""
    found: list[SharedPredictor] = []
    thread = threading.Thread(target=lambda: found.append(pool.take(
        path, device='cpu', precision='auto', backend=backend)))
    thread.start()
    thread.join()
    return found[0]


def main() -> None:
    """Run as the arguments say."""
    what, backend, times, lost, *paths = sys.argv[1:]
    logging.disable()
    pool = PredictorPool(load_predictor)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    running = taken(pool, Path(paths[1]), backend) if what == 'swap' else None
    resident, heap, leak = [], [], []
    for turn in range(int(times)):
        predictor = taken(pool, Path(paths[turn % 2 if what == 'swap' else 0]), backend)
        assert predictor.backend == backend
        predictor(image, fx=100.0)
        if running is not None:
            running.close()
        running = predictor
        if what == 'configure':
            running.close()
            running = None
        del predictor
        if int(lost):
            leak.append(np.ones(int(lost), np.uint8))
        resident.append(resident_bytes())
        heap.append(heap_bytes())
    print(json.dumps({'resident': resident, 'heap': heap}))


if __name__ == '__main__':
    main()
