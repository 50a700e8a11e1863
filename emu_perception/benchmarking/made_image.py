# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""An image that needs no data."""

from __future__ import annotations

import cv2
import numpy as np


def made_image(height: int, width: int) -> np.ndarray:
    """Return an image, uint8 [height, width, 3], always the same."""
    # Smooth, as photographs are: noise has unknown depths and edges everywhere.
    return cv2.GaussianBlur(np.random.default_rng(0).integers(
        0, 256, (height, width, 3), np.uint8), (0, 0), 7)
