# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Too little light, too much of it, or light where it should not be."""

from __future__ import annotations

from emu_perception.corruptions.levels import (
    as_image,
    at_severity,
    distance_to,
    normal,
    smooth_field,
)
import numpy as np

_LAMP = np.array([1.0, 0.96, 0.86], np.float32)  # What the sun or a lamp adds to each colour.


def dark(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a half to a twentieth of its light and the sensor's noise in it."""
    light = at_severity(severity, (0.5, 0.25, 0.14, 0.08, 0.05))
    return as_image(rgb * np.float32(light) + normal(rng, rgb.shape, 3.0))


def over_exposure(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with 1.6 to 8 times its light, burned out where that is too much."""
    light = at_severity(severity, (1.6, 2.3, 3.3, 5.0, 8.0))
    return as_image(rgb * np.float32(light) + normal(rng, rgb.shape, 1.0))


def fog(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image behind smoke or a steamed-up lens: grey over all, in drifts."""
    share = at_severity(severity, (0.35, 0.55, 0.7, 0.82, 0.91))
    drifts = 1.0 + 0.12 * (2.0 * smooth_field(rng, rgb.shape[:2], 6) - 1.0)
    veil = np.clip(share * drifts, 0.0, 0.97)[..., None]
    grey = np.float32(rng.uniform(150.0, 225.0))
    return as_image(rgb * (1.0 - veil) + grey * veil + normal(rng, rgb.shape, 1.0))


def glare(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a low sun or a bright window beside it: light from one edge on."""
    light = at_severity(severity, (90.0, 190.0, 310.0, 460.0, 650.0))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    # Just outside of the image, so that the light itself is not seen.
    far = distance_to(rgb.shape[:2], 0.5 + 0.7 * np.sin(angle), 0.5 + 0.6 * np.cos(angle))
    veil = light * np.exp(-far / 0.5)[..., None] * _LAMP
    return as_image(rgb * np.float32(1.0 - 0.0006 * light) + veil)


def flare(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with a lamp in view: a burned-out disc, its veil, and ghosts of it."""
    strength = at_severity(severity, (0.35, 0.6, 0.9, 1.3, 1.8))
    row, column = rng.uniform(0.15, 0.75), rng.uniform(0.15, 0.85)
    far = distance_to(rgb.shape[:2], row, column)
    light = strength * (900.0 * np.exp(-far / 0.12) + 110.0)
    # Reflections between the lenses lie on the line through the image's middle.
    for along, radius in ((0.45, 0.03), (-0.5, 0.05), (-1.2, 0.09)):
        ghost = distance_to(rgb.shape[:2], 0.5 + along * (row - 0.5), 0.5 + along * (column - 0.5))
        light += 45.0 * strength * np.clip((radius - ghost) / 0.008, 0.0, 1.0)
    return as_image(rgb * np.float32(1.0 - 0.35 * min(strength, 1.6)) + light[..., None] * _LAMP)
