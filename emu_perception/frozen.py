# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a camera sends the same pixels again and again."""

from __future__ import annotations

from typing import Any

import numpy as np

# From here on it is worth a warning: a video of fewer images a second than are sent repeats some.
WARN_AFTER_S = 2.0
_SAMPLES = 4096


class FrozenPixels:
    """
    Follows how long the bytes of images have stayed the same.

    No two images of a real sensor are the same, by its noise; those of simulators, replayed stills
    and decoded video may be.
    """

    def __init__(self) -> None:
        """Begin without an image."""
        self._last: np.ndarray | None = None
        self._since_s = 0.0

    def same_for_s(self, data: Any, now_s: float) -> float:
        """
        Return for how many seconds the bytes have been those of this image.

        :param data: a buffer of bytes, which is kept until the next one and must not change.
        :param now_s: any clock, seconds.
        """
        pixels = np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
        last = self._last
        self._last = pixels
        if last is None or not _same(pixels, last):
            self._since_s = now_s
        return now_s - self._since_s


def _same(pixels: np.ndarray, last: np.ndarray) -> bool:
    if pixels.size != last.size:
        return False
    step = max(1, pixels.size // _SAMPLES)  # Images that differ do so nearly everywhere.
    return np.array_equal(pixels[::step], last[::step]) and np.array_equal(pixels, last)
