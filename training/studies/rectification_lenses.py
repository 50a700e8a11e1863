# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Lenses of known models, and a pinhole camera's picture as each of them would have taken it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
from emu_perception.cameras.calibration import CameraInfo, pinhole_info
from emu_perception.cameras.lens import lens_of
import numpy as np

# Of a webcam, a wide board camera and a fisheye; all bend inwards, so that with P = K the
# rectified image shows what the picture shows, and all of it.
LENSES: dict[str, tuple[str, tuple[float, ...]]] = {
    'plumb_bob': ('plumb_bob', (-0.28, 0.09, 0.0006, -0.0004, -0.01)),
    'rational_polynomial': ('rational_polynomial', (
        0.45, -0.25, 0.0005, -0.0003, 0.02, 0.75, -0.18, 0.03)),
    'equidistant': ('equidistant', (-0.02, 0.008, -0.004, 0.0008)),
    'equidistant, all 0': ('equidistant', (0.0, 0.0, 0.0, 0.0))}
_ITERATIONS, _CLOSE = 30, 1e-6  # Of the distance: a thousandth of a pixel.


def lens_info(name: str, width: int, height: int, fx: float) -> CameraInfo:
    """Return the calibration of one of ``LENSES``: K = P, the centre in the middle."""
    model, d = LENSES[name]
    return replace(pinhole_info(width, height, fx), distortion_model=model, d=d)


@lru_cache(maxsize=len(LENSES))
def ideal_of(info: CameraInfo) -> np.ndarray:
    """
    Return where in the pinhole camera's image each pixel of the lens's is from, [H, W, 2].

    By iteration of x <- x + (pixel - projected(x)), which converges where the lens bends inwards.
    """
    lens = lens_of(info)
    assert not isinstance(lens, str), lens
    k, d = np.reshape(info.k, (3, 3)), np.array(lens.coefficients)
    project = cv2.fisheye.projectPoints if lens.fisheye else None
    none = np.zeros(3)
    pixels = np.stack(np.meshgrid(np.arange(info.width), np.arange(info.height)), -1)
    target = (pixels.reshape(-1, 2) - k[:2, 2]) / k[[0, 1], [0, 1]]
    found = target.copy()
    for _ in range(_ITERATIONS):
        rays = np.column_stack((found, np.ones(len(found)))).reshape(-1, 1, 3)
        seen = (project(rays, none, none, np.eye(3), d) if project
                else cv2.projectPoints(rays, none, none, np.eye(3), d))[0].reshape(-1, 2)
        found += target - seen
        if np.abs(target - seen).max() < _CLOSE:
            break
    ideal = found * k[[0, 1], [0, 1]] + k[:2, 2]
    return ideal.reshape(info.height, info.width, 2).astype(np.float32)


def as_taken(image: np.ndarray, ideal: np.ndarray) -> np.ndarray:
    """Return a picture as the lens would have taken it; what lies outside is mirrored."""
    return cv2.remap(image, ideal[..., 0], ideal[..., 1], cv2.INTER_LANCZOS4,
                     borderMode=cv2.BORDER_REFLECT_101)
