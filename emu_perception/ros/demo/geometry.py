# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that pans and zooms inside one photograph: picture, true depth and intrinsics agree."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from emu_perception.cameras.pinhole import Pinhole
from emu_perception.preprocessing import resized_image
import numpy as np


@dataclass(frozen=True)
class Window:
    """The part of the photograph a frame shows: left, top, width, height in whole pixels."""

    left: int
    top: int
    width: int
    height: int


def seen_through(camera: Pinhole, window: Window, width: int, height: int) -> Pinhole:
    """Return the camera of the window resized to ``width`` x ``height`` pixels."""
    sx, sy = width / window.width, height / window.height
    return Pinhole(fx=camera.fx * sx, fy=camera.fy * sy,
                   cx=(camera.cx - window.left + 0.5) * sx - 0.5,
                   cy=(camera.cy - window.top + 0.5) * sy - 0.5)


def cut(pixels: np.ndarray, window: Window, width: int, height: int) -> np.ndarray:
    """
    Return the window of a picture (uint8) or of a depth map (float) resized.

    Depth is taken from the nearest pixel: a mean over an edge would be a depth that is nowhere.
    """
    part = pixels[window.top:window.top + window.height, window.left:window.left + window.width]
    if pixels.dtype == np.uint8:
        return resized_image(part, (height, width))
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def disparity_to_depth(disparity: np.ndarray, focal: float, baseline_m: float,
                       offset: float) -> np.ndarray:
    """
    Return metres along the optical axis, float32, NaN where the disparity is unknown.

    Middlebury 2014: Z = f * baseline / (d + doffs); f, d and doffs in pixels of one size.
    """
    with np.errstate(divide='ignore', invalid='ignore'):
        depth = focal * baseline_m / (disparity.astype(np.float64) + offset)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.nan).astype(np.float32)


def path_of_windows(count: int, width: int, height: int, aspect: float) -> list[Window]:
    """
    Return ``count`` windows of one aspect that drift over a picture, in and out by a quarter.

    The path is closed, so that a repeated one has no jump.
    """
    windows = []
    widest = min(float(width), height * aspect)
    for phase in np.linspace(0.0, 2 * np.pi, count, endpoint=False):
        window_width = widest * (0.875 + 0.125 * np.cos(phase))
        w, h = int(window_width), int(window_width / aspect)
        left = int((width - w) * (0.5 + 0.5 * np.sin(phase)))
        top = int((height - h) * (0.5 + 0.5 * np.cos(2 * phase)))
        windows.append(Window(left, top, w, h))
    return windows
