# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The small grid on which depths are joined: about a quarter of VGA, whatever the image's size."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from emu_perception.fusion.guided_fill import MULTIPLE
import numpy as np

CELLS = 112 * 160


@dataclass(frozen=True)
class GridHint:
    """
    What the sensor sees, cell by cell.

    :ivar depth: float32 [h, w], metres; +inf where it sees nothing.
    :ivar known: bool [h, w].
    """

    depth: np.ndarray
    known: np.ndarray


def grid_size(image_size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the grid: multiples of 16, about ``CELLS`` cells, the aspect."""
    width = math.sqrt(CELLS * image_size[1] / image_size[0])
    columns = max(round(width / MULTIPLE), 2)
    rows = max(round(CELLS / width / MULTIPLE), 2)
    return MULTIPLE * rows, MULTIPLE * columns


def guide_of(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture uint8 [H, W, 3] as the fill's guide, float32 [h, w, 3], 0..1."""
    height, width = image.shape[:2]
    if height >= 2 * size[0] and width >= 2 * size[1]:
        # Whole factors are averaged several times faster.
        image = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1.0 / 255.0)


def grid_hint(depth: np.ndarray, size: tuple[int, int]) -> GridHint:
    """
    Return a sensor's depth on the grid.

    Of four samples a cell the lower of the middle two, or the lowest of one or two: an average
    would invent a surface between two, and one outlier in twenty would spoil half the cells.

    :param depth: float32 [H, W], metres; +inf where there is none.
    """
    height, width = size
    fine = cv2.resize(depth, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    upper, lower = fine[0::2], fine[1::2]
    low, high = np.minimum(upper, lower), np.maximum(upper, lower)
    left, right = low[:, 0::2], low[:, 1::2]
    lowest = np.minimum(left, right)
    one, other = np.maximum(left, right), np.minimum(high[:, 0::2], high[:, 1::2])
    second, third = np.minimum(one, other), np.maximum(one, other)
    # The third is finite where three of the four are there.
    return GridHint(np.where(np.isfinite(third), second, lowest), np.isfinite(lowest))


def to_image(values: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Return a map of the grid at the image's size, float32 [H, W]."""
    return cv2.resize(values, image_size[::-1], interpolation=cv2.INTER_LINEAR)
