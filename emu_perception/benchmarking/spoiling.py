# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images as a camera in trouble gives them: what an uncertainty has to notice."""

from __future__ import annotations

import cv2
import numpy as np

SPOILED = ('dark', 'blurred', 'covered', 'noised', 'flare')


def spoil(image: np.ndarray, kind: str, rng: np.random.Generator, strength: float = 1.0,
          at: tuple[float, float] | None = None) -> np.ndarray:
    """
    Return an image as a camera in trouble would give it.

    :param image: uint8 [H, W, 3], rgb.
    :param kind: one of ``SPOILED``.
    :param strength: 0 = hardly, 1 = so that little can be seen.
    :param at: where cover or flare is, row and column in 0..1; None = near the middle.
    :return: uint8 [H, W, 3].
    :raises ValueError: for another kind.
    """
    height, width = image.shape[:2]
    spoiled: np.ndarray
    if kind == 'dark':  # A twentieth of the light, with the sensor's noise in it.
        spoiled = image * 0.05 ** strength + rng.normal(0.0, 3.0, image.shape)
    elif kind == 'blurred':  # Far out of focus.
        spoiled = cv2.GaussianBlur(image, (0, 0), sigmaX=max(strength * width / 50, 0.1))
    elif kind == 'covered':  # A hand or a rag over most of the lens, seen as one soft colour.
        row, column = at or (0.55, 0.45)
        rows, columns = np.mgrid[0:height, 0:width]
        distance = np.hypot(columns / width - column, rows / height - row)
        cover = np.clip((0.48 * strength - distance) / 0.06, 0.0, 1.0)[..., None]
        spoiled = image * (1.0 - cover) + np.array([96.0, 70.0, 58.0]) * cover
    elif kind == 'noised':  # As with the gain far too high.
        spoiled = image + rng.normal(0.0, 60.0 * strength, image.shape)
    elif kind == 'flare':  # A lamp or the sun in view: a burned-out disc in a veil of light.
        row, column = at or (0.35, 0.6)
        rows, columns = np.mgrid[0:height, 0:width]
        distance = np.hypot(columns - width * column, rows - height * row) / width
        light = strength * (900.0 * np.exp(-distance / 0.12) + 110.0)
        spoiled = image * (1.0 - 0.4 * strength) + light[..., None] * np.array([1.0, 0.96, 0.86])
    else:
        raise ValueError(f'unknown kind {kind}')
    return np.clip(spoiled, 0, 255).astype(np.uint8)
