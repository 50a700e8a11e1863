# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Breaks of content: sharp, well-lit pictures that the network must not be believed on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
from emu_perception.corruptions.levels import as_image
from emu_perception.corruptions.photographs import no_rooms
import numpy as np

JIGSAW = 3
# Mean and deviation of red, green and blue in NYUv2's training images, 0..255.
NYUV2_COLORS = ((117.8, 99.4, 93.8), (70.0, 70.8, 74.4))


def upside_down(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image, or a map [H, W] of its truth, turned by 180 degrees."""
    return np.ascontiguousarray(values[::-1, ::-1])


def jigsaw(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    Return an image, or a map [H, W] of its truth, cut into 3x3 pieces, each in another's place.

    A generator of the same seed moves image and truth alike. What is left over at the right and
    at the bottom where a side is no multiple of 3 stays where it is.
    """
    height, width = (side // JIGSAW for side in values.shape[:2])
    order = rng.permutation(JIGSAW ** 2)
    # One cycle through all pieces: none stays.
    place = np.empty_like(order)
    place[order] = np.roll(order, 1)
    moved = values.copy()
    for target, source in enumerate(place):
        to, start = divmod(target, JIGSAW), divmod(int(source), JIGSAW)
        moved[to[0] * height:(to[0] + 1) * height, to[1] * width:(to[1] + 1) * width] = values[
            start[0] * height:(start[0] + 1) * height, start[1] * width:(start[1] + 1) * width]
    return moved


def foreign(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    Return a photograph that is no room in the image's place, at its size.

    :raises InputError: if no package with photographs is installed.
    """
    photographs = no_rooms()
    return fitted(photographs[int(rng.integers(len(photographs)))], rgb.shape[:2])


def foreign_restyled(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ``foreign`` with NYUv2's mean and deviation of each colour."""
    return restyled(foreign(rgb, rng))


def foreign_objects(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with objects out of photographs pasted in."""
    return pasted(rgb, no_rooms(), rng)[0]


def restyled(rgb: np.ndarray, colors: tuple[Sequence[float], Sequence[float]] = NYUV2_COLORS,
             ) -> np.ndarray:
    """
    Return an image whose colours have another mean and deviation.

    :param colors: means and deviations of red, green and blue, 0..255.
    """
    mean, deviation = (np.array(part, np.float32) for part in colors)
    values = rgb.astype(np.float32)
    spread = np.maximum(values.std(axis=(0, 1)), 1.0)
    return as_image((values - values.mean(axis=(0, 1))) / spread * deviation + mean)


def pasted(rgb: np.ndarray, sources: Sequence[np.ndarray], rng: np.random.Generator,
           count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """
    Paste parts of other pictures in, each as a soft-edged blob.

    Out of photographs they are foreign objects; out of other rooms, pasted alike, their control:
    what finds the former by their edges finds the latter too.

    :param sources: uint8 [h, w, 3] each, the pictures to take them from.
    :param count: of the objects; together they fill a tenth to a half of the image.
    :return: the image, and bool [H, W]: where they are.
    """
    height, width = rgb.shape[:2]
    result, where = rgb.astype(np.float32), np.zeros((height, width), bool)
    for _ in range(count):
        source = sources[int(rng.integers(len(sources)))]
        half_height, half_width = (max(4, round(height * rng.uniform(0.1, 0.25)))
                                   for _ in range(2))
        row, column = (int(rng.integers(half, max(half + 1, side - half)))
                       for half, side in ((half_height, height), (half_width, width)))
        size = (2 * half_height, 2 * half_width)
        patch = fitted(source, size)
        rows, columns = (np.linspace(-1.0, 1.0, side, dtype=np.float32) for side in size)
        angle = np.arctan2(rows[:, None], columns[None])
        # A blob: a circle whose radius goes in and out.
        edge = 0.82 + 0.13 * np.sin(int(rng.integers(2, 6)) * angle + rng.uniform(0.0, 6.28))
        inside = np.clip((edge - np.hypot(rows[:, None], columns[None])) / 0.04, 0.0, 1.0)
        part = (slice(row - half_height, row + half_height),
                slice(column - half_width, column + half_width))
        opaque = inside[:result[part].shape[0], :result[part].shape[1], None]
        patch = patch[:opaque.shape[0], :opaque.shape[1]]
        result[part] = result[part] * (1.0 - opaque) + patch * opaque
        where[part] |= opaque[..., 0] > 0.5
    return as_image(result), where


def fitted(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of an image, as much of it as has the aspect of ``size``, at ``size``."""
    height, width = rgb.shape[:2]
    scale = min(height / size[0], width / size[1])
    rows, columns = (max(1, round(side * scale)) for side in size)
    top, left = (height - rows) // 2, (width - columns) // 2
    part = rgb[top:top + rows, left:left + columns]
    shrinks = rows > size[0]
    return cv2.resize(part, size[::-1],
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
