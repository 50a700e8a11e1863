# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Loads, uses and frees models again and again, and prints the memory after each time, as JSON.

A process of its own, so that nothing but this is measured. Arguments: what to do ('configure' or
'swap'), the backend, how often, and two checkpoints.
"""

from __future__ import annotations

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
    what, backend, times, *paths = sys.argv[1:]
    logging.disable()
    pool = PredictorPool(load_predictor)
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    running = taken(pool, Path(paths[1]), backend) if what == 'swap' else None
    found = []
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
        found.append(resident_bytes())
    print(json.dumps(found))


if __name__ == '__main__':
    main()
