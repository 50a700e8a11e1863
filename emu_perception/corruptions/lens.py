# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Something on the lens, or before it: a hand, dirt, drops of water."""

from __future__ import annotations

import cv2
from emu_perception.corruptions.levels import as_image, at_severity, distance_to, smooth_field
import numpy as np

# A hand, a grey rag, black plastic, a white glove, a brown cardboard.
_COVERS = ((96, 70, 58), (120, 118, 112), (18, 18, 20), (205, 205, 200), (140, 105, 70))
_DIRT = ((58, 46, 34), (92, 84, 72), (36, 34, 32))


def cover(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image with an eighth to nearly all of it behind one soft colour."""
    share = at_severity(severity, (0.12, 0.25, 0.42, 0.62, 0.85))
    far = distance_to(rgb.shape[:2], rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0))
    radius = np.quantile(far[::4, ::4], share)
    covered = np.clip((radius - far) / 0.06 + 0.5, 0.0, 1.0)[..., None]
    color = np.array(_COVERS[int(rng.integers(len(_COVERS)))], np.float32)
    shade = 1.0 + 0.25 * (smooth_field(rng, rgb.shape[:2], 4)[..., None] - 0.5)
    return as_image(rgb * (1.0 - covered) + color * shade * covered)


def dirt(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image through a lens with mud and dust on it, out of focus."""
    share = at_severity(severity, (0.08, 0.18, 0.32, 0.5, 0.7))
    stains = 0.7 * smooth_field(rng, rgb.shape[:2], 9) + 0.3 * smooth_field(rng, rgb.shape[:2], 30)
    limit = np.quantile(stains[::4, ::4], 1.0 - share)
    opaque = 0.93 * np.clip((stains - limit) / 0.06 + 0.5, 0.0, 1.0)[..., None]
    color = np.array(_DIRT[int(rng.integers(len(_DIRT)))], np.float32)
    return as_image(rgb * (1.0 - opaque) + color * opaque)


def drops(rgb: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return the image through drops of water: each shows the scene small and upside down."""
    count = round(at_severity(severity, (8, 20, 40, 75, 140)))
    height, width = rgb.shape[:2]
    columns, rows = (np.ascontiguousarray(grid, np.float32)
                     for grid in np.meshgrid(np.arange(width), np.arange(height)))
    source_x, source_y, wet = columns.copy(), rows.copy(), np.zeros((height, width), np.float32)
    for _ in range(count):
        x, y = rng.uniform(0.0, width), rng.uniform(0.0, height)
        radius = width * rng.uniform(0.018, 0.05)
        left, right = max(0, int(x - radius)), min(width, int(x + radius) + 2)
        top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 2)
        part = (slice(top, bottom), slice(left, right))
        off_x, off_y = (columns[part] - x) / radius, (rows[part] - y) / radius
        far = np.hypot(off_x, off_y)
        inside = far < 1.0
        bend = 0.3 * width * (0.6 + far)
        source_x[part] = np.where(inside, x - bend * off_x, source_x[part])
        source_y[part] = np.where(inside, y - bend * off_y, source_y[part])
        wet[part] = np.maximum(wet[part], np.clip((1.0 - far) / 0.25, 0.0, 1.0))
    soft = cv2.GaussianBlur(rgb, (0, 0), sigmaX=width / 160.0)
    seen = cv2.remap(soft, source_x, source_y, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REFLECT_101)
    mixed = wet[..., None]
    return as_image(rgb * (1.0 - mixed) + seen * mixed)
