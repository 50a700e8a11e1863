# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What joining a depth camera in costs an image, and what taking a lens's distortion out does."""

from __future__ import annotations

import os
from statistics import median
import sys
import time

import cv2
from emu_perception.cameras.judgement import judge
from emu_perception.fusion import checked_hint, fuse, ScaleBelief
import numpy as np

from ..arguments.studies.fusion_time import parser
from ..command_line import check_counts, run
from .rectification_lenses import lens_info

SIZE = (480, 640)
_WARM = 5


def milliseconds(images: int) -> list[float]:
    """Return the time of each of some images."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (24, 32, 3), np.uint8)
    image = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    rows = np.linspace(4.0, 1.0, SIZE[0], dtype=np.float32)[:, None]
    truth = np.repeat(rows, SIZE[1], 1)
    hidden = cv2.resize((rng.random((12, 16)) < 0.5).astype(np.uint8), SIZE[::-1],
                        interpolation=cv2.INTER_NEAREST) > 0
    seen = np.where(hidden, np.float32(0.0), truth)
    depth = truth * np.float32(1.3)
    variance = (np.float32(0.2) * depth) ** 2
    belief = ScaleBelief.before()
    times = []
    for _ in range(_WARM + images):
        began = time.perf_counter()
        belief = fuse(image, depth, variance, checked_hint(seen, None, SIZE), belief).belief
        times.append(1e3 * (time.perf_counter() - began))
    return times[_WARM:]


def rectifying_milliseconds(images: int) -> tuple[list[float], list[float]]:
    """Return the times of rectifying each of some images, and of a hint beside each."""
    height, width = SIZE
    camera = judge(lens_info('plumb_bob', width, height, 520.0), width, height, rectified=False,
                   rectify=True).needed()
    assert camera.rectification is not None
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    depth = np.full(SIZE, 2.0, np.float32)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_WARM + images):
        began = time.perf_counter()
        camera.rectification.image(image)
        between = time.perf_counter()
        camera.rectification.depth(depth)
        times[0].append(1e3 * (between - began))
        times[1].append(1e3 * (time.perf_counter() - between))
    return times[0][_WARM:], times[1][_WARM:]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        check_counts(options, 'images')
        image, depth = rectifying_milliseconds(options.images)
        joining = milliseconds(options.images)
        load = os.getloadavg()[0]
        for what, times in (('joined', joining), ('rectified', image), ('hint rectified', depth)):
            print(f'{what}, {SIZE[1]}x{SIZE[0]}: median {median(times):.2f} ms, least '
                  f'{min(times):.2f} ms, of {len(times)} images; OpenCV with '
                  f'{cv2.getNumThreads()} threads, load {load:.1f} on {os.cpu_count()} cores')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
