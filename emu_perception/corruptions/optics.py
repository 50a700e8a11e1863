# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A lens out of focus, a camera in motion. Lengths are parts of the image's width."""

from __future__ import annotations

import cv2
from emu_perception.corruptions.levels import at_severity
import numpy as np


def blur(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image blurred by a Gaussian, a little more here, a little less there."""
    sigma = at_severity(severity, (0.002, 0.0035, 0.0055, 0.01, 0.02)) * rgb.shape[1]
    # Below that a Gaussian is a single pixel: nothing would change on a small image.
    return cv2.GaussianBlur(rgb, (0, 0), sigmaX=max(0.5, sigma * rng.uniform(0.95, 1.05)))


def defocus(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image out of focus: each point becomes the disc of the lens's opening."""
    radius = at_severity(severity, (0.004, 0.007, 0.011, 0.018, 0.03)) * rgb.shape[1]
    radius *= rng.uniform(0.95, 1.05)
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0.0, 1.0).astype(np.float32)
    return cv2.filter2D(rgb, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101)


def motion(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image of a camera that turned during the exposure: smeared along a line."""
    length = at_severity(severity, (0.01, 0.02, 0.035, 0.06, 0.1)) * rgb.shape[1]
    angle = rng.uniform(0.0, np.pi)
    reach = int(np.ceil(length / 2.0))
    rows, columns = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = -columns * np.sin(angle) + rows * np.cos(angle)
    line = np.clip(1.0 - np.abs(across), 0.0, 1.0) * (np.abs(along) <= length / 2.0)
    return cv2.filter2D(rgb, -1, (line / line.sum()).astype(np.float32),
                        borderType=cv2.BORDER_REFLECT_101)
