# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Mild changes: another hour, another setting of the camera. The flag should stay down."""

from __future__ import annotations

from emu_perception.corruptions.levels import as_image, normal
from emu_perception.corruptions.sensor import at_resolution, jpeg_coded
import numpy as np


def brighter(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a fifth more light."""
    return as_image(rgb * np.float32(1.2))


def darker(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a fifth less light."""
    return as_image(rgb * np.float32(0.8))


def less_contrast(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with four fifths of its contrast."""
    values = rgb.astype(np.float32)
    middle = values.mean()
    return as_image((values - middle) * 0.8 + middle)


def warmer(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a white balance that is off a little, to the red or to the blue."""
    shift = float(rng.choice((-0.08, 0.08)))
    return as_image(rgb * np.array([1.0 + shift, 1.0, 1.0 - shift], np.float32))


def jpeg_60(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image after JPEG of quality 60."""
    return jpeg_coded(rgb, 60)


def half_resolution(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image shrunk to half its sides and enlarged again."""
    return at_resolution(rgb, 2.0)


def faint_noise(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with Gaussian noise of a deviation of 3 grey levels."""
    return as_image(rgb + normal(rng, rgb.shape, 3.0))


def mirrored(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image mirrored, left for right; its truth has to be mirrored likewise."""
    return np.ascontiguousarray(rgb[:, ::-1])
