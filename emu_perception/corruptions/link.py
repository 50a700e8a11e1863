# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a driver, a cable or a decoder does to an image on its way: sharp, well lit and wrong.

Each is whole where its message says so, so that no check of sizes finds it.
"""

from __future__ import annotations

import cv2
import numpy as np

# What lies where no line was written: memory of zeros, a decoder's grey, zeros read as YUV.
_NEVER_WRITTEN = ((0, 0, 0), (128, 128, 128), (0, 135, 0))
_BLOCKS = 40  # Of a video decoder along the width.


def swapped_colors(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with red and blue changed over: bgr8 under the name of rgb8."""
    return np.ascontiguousarray(rgb[..., ::-1])


def wrong_step(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image read without the padding at its lines' ends: each begins later."""
    height, width = rgb.shape[:2]
    padding = max(1, round(rng.uniform(0.01, 0.1) * width))
    lines = np.pad(rgb, ((0, 0), (0, padding), (0, 0))).reshape(-1, 3)
    return lines[:height * width].reshape(rgb.shape)


def torn(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image, or a map [H, W] of its truth, whose lower part was seen after a turn."""
    start = _row(values, rng)
    moved = values.copy()
    moved[start:] = np.roll(values, max(1, round(rng.uniform(0.1, 0.3) * values.shape[1])),
                            axis=1)[start:]
    return moved


def lines_lost(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with nothing in its lower part."""
    lost = rgb.copy()
    lost[_row(rgb, rng):] = _NEVER_WRITTEN[int(rng.integers(len(_NEVER_WRITTEN)))]
    return lost


def lines_repeated(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with the last line that came again and again, down to its end."""
    repeated, start = rgb.copy(), _row(rgb, rng)
    repeated[start:] = rgb[start]
    return repeated


def interlaced(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with every second line seen later, by a camera that turns."""
    woven = rgb.copy()
    woven[1::2] = np.roll(rgb, max(1, round(rng.uniform(0.01, 0.04) * rgb.shape[1])), axis=1)[1::2]
    return woven


def wrong_bits(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image without its two highest bits, as of 10 bits read from the lowest on."""
    return rgb << 2


def blocks_lost(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image as a video decoder that lacks packets gives it: blocks from elsewhere."""
    side = max(1, rgb.shape[1] // _BLOCKS)
    rows, columns = rgb.shape[0] // side, rgb.shape[1] // side
    damaged = rgb.copy()
    for row in range(rows // 3, rows):
        if row > rows // 3 and rng.random() > 0.4:
            continue
        start = int(rng.integers(columns))
        for column in range(start, min(columns, start + int(rng.integers(2, columns + 2)))):
            top, left = int(rng.integers(rows)) * side, int(rng.integers(columns)) * side
            damaged[row * side:(row + 1) * side, column * side:(column + 1) * side] = rgb[
                top:top + side, left:left + side]
    return damaged


def chroma_lost(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image green all over: the planes of its colours are zeros."""
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)
    yuv[..., 1:] = 0
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)


def _row(values: np.ndarray, rng: np.random.Generator) -> int:
    """Draw a row of the image's middle."""
    return round(rng.uniform(0.3, 0.7) * values.shape[0])
