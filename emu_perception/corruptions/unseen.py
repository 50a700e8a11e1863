# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Weather, lamps and lenses that no score is fitted to, nor any network of ours trained with."""

from __future__ import annotations

import cv2
from emu_perception.corruptions.levels import as_image, distance_to
import numpy as np

_RAIN = 31  # Pixels along a drop's streak, of an image 640 wide.


def ghost(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image twice, one beside the other: a pane before the lens, two exposures."""
    aside = np.roll(rgb, max(1, round(rng.uniform(0.03, 0.1) * rgb.shape[1])), axis=1)
    return as_image((rgb.astype(np.float32) + aside) / 2)


def colored_light(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image under an emergency lamp: one colour, and little of the others."""
    share = np.full(3, 0.35, np.float32)
    share[int(rng.integers(3))] = 1.2
    return as_image(rgb * share)


def vignette(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with dark corners: a lens hood that is too long."""
    far = distance_to(rgb.shape[:2], 0.5, 0.5) / 0.625  # 1 in the corners of 4:3.
    return as_image(rgb * np.clip(1.0 - 1.1 * far ** 2, 0.0, 1.0)[..., None])


def rain(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image through streaks of rain, all of one slant."""
    length = max(3, round(_RAIN * rgb.shape[1] / 640) | 1)
    drops = (rng.random(rgb.shape[:2]) > 1.0 - 0.15 / length).astype(np.float32)
    streak = np.zeros((length, length), np.float32)
    aside = round(rng.uniform(-0.4, 0.4) * (length // 2))
    cv2.line(streak, (length // 2 - aside, 0), (length // 2 + aside, length - 1), 1.0, 1)
    light = np.clip(cv2.filter2D(drops, -1, streak), 0.0, 1.0)[..., None]
    return as_image(rgb * np.float32(0.85) + 140.0 * light)


def salt_and_pepper(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with one pixel in ten black or white: hot ones, dead ones, lost bits."""
    drawn, spoiled = rng.random(rgb.shape[:2]), rgb.copy()
    spoiled[drawn < 0.05] = 0
    spoiled[drawn > 0.95] = 255
    return spoiled
