# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What all corruptions share: severities from 1 to 5, and the way back to an image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from emu_perception.errors import InputError
import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)


def at_severity(severity: float, values: Sequence[float]) -> float:
    """
    Return a parameter at a severity, in between by linear interpolation.

    :param severity: 1 (hardly any loss) to 5 (little can be seen).
    :param values: of the parameter at severities 1 to 5.
    :raises InputError: if the severity is none.
    """
    if not SEVERITIES[0] <= severity <= SEVERITIES[-1]:
        raise InputError(f'severity is {severity}: give {SEVERITIES[0]} to {SEVERITIES[-1]}')
    return float(np.interp(severity, SEVERITIES, values))


def as_image(values: np.ndarray) -> np.ndarray:
    """Return values rounded and clipped to uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> np.ndarray:
    """Return float32 Gaussian noise."""
    return rng.standard_normal(shape, np.float32) * np.float32(deviation)


def distance_to(size: tuple[int, int], row: float, column: float) -> np.ndarray:
    """
    Return each pixel's distance to a place, in widths of the image.

    :param size: (height, width).
    :param row: of the place, 0 = top, 1 = bottom; ``column`` likewise.
    :return: float32 [H, W].
    """
    height, width = size
    rows = (np.arange(height, dtype=np.float32) - row * height)[:, None]
    columns = (np.arange(width, dtype=np.float32) - column * width)[None]
    return np.hypot(rows, columns) / np.float32(width)


def smooth_field(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """
    Return a random field that varies slowly: stains, fog.

    :param size: (height, width).
    :param cells: of the field along the width; finer with more.
    :return: float32 [H, W], each value as frequent as any other: 0..1.
    """
    height, width = size
    rows = max(2, round(cells * height / width))
    field = cv2.resize(rng.random((rows, cells), np.float32), (width, height),
                       interpolation=cv2.INTER_CUBIC)
    order = np.sort(field[::4, ::4], axis=None)
    return (np.searchsorted(order, field) / order.size).astype(np.float32)
