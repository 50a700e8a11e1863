# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A sensor with its gain too high or its lines torn; too few bits, too few pixels."""

from __future__ import annotations

import cv2
from emu_perception.corruptions.levels import as_image, at_severity, normal
import numpy as np


def noise(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with Gaussian noise of a deviation of 8 to 70 grey levels."""
    return as_image(rgb + normal(rng, rgb.shape, at_severity(severity, (8, 18, 32, 50, 70))))


def rolling_lines(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image in bands of rows that are lost, displaced or lit by a flickering lamp."""
    share = at_severity(severity, (0.08, 0.2, 0.38, 0.6, 0.85))
    height, width = rgb.shape[:2]
    edges = np.unique(np.linspace(0, height, 31).round().astype(int)[1:-1]
                      + rng.integers(-height // 120, height // 120 + 1, 29))
    bands = list(zip((0, *edges), (*edges, height)))
    values = rgb.astype(np.float32)
    for i in rng.permutation(len(bands))[:max(1, round(share * len(bands)))]:
        rows = slice(*bands[i])
        what = int(rng.integers(3))
        if what == 0:  # Not read: one line again and again.
            values[rows] = values[rows.start]
        elif what == 1:
            values[rows] = np.roll(values[rows], int(rng.integers(1, width)), axis=1)
        else:
            values[rows] *= np.float32(rng.choice((0.1, 0.3, 2.5)))
    return as_image(values)


def jpeg(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image after JPEG of a quality from 25 down to 1."""
    quality = round(at_severity(severity, (25, 12, 7, 3, 1)) * rng.uniform(0.95, 1.05))
    return jpeg_coded(rgb, quality)


def jpeg_coded(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Return an image after JPEG of a quality, 0 to 100."""
    # The coder takes the colours as blue, green, red, and gives them back so.
    _, data = cv2.imencode('.jpg', rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, 'what was coded can be decoded'
    return np.ascontiguousarray(decoded[..., ::-1])


def low_resolution(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image as a sensor 213 to 23 pixels wide gives it, enlarged."""
    pixels = at_severity(severity, (213, 107, 64, 38, 23)) * rng.uniform(0.95, 1.05)
    # A smaller image than that would stay as it is.
    return at_resolution(rgb, max(1.5, rgb.shape[1] / pixels))


def at_resolution(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Return an image shrunk by a factor and enlarged to its size again."""
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (max(2, round(width / factor)), max(2, round(height / factor))),
                       interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
