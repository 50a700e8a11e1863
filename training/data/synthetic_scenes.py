# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Synthetic scenes: objects on a plain, with image, labels, instances and depth that are known.

A pinhole camera at a known height looks along a plain that ends at a wall, with the sky above.
Boxes, balls and cones stand on the plain, each with its depth, size and texture; what is nearer
hides what is behind it (all of them hide the wall, wherever it is), and thin poles split what they
stand before. The shape says the class, the place on the plain says the depth: both have to be
learned. Nothing here is a photograph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLASSES = ('floor', 'wall', 'sky', 'pole', 'box', 'ball', 'cone')
THINGS = ('box', 'ball', 'cone')
PALETTE = ((120, 110, 90), (200, 190, 170), (110, 170, 230), (60, 60, 60), (220, 60, 50),
           (60, 160, 70), (240, 180, 40))
FLOOR, WALL, SKY, POLE = range(4)
NEAR_M, FAR_M = 2.0, 12.0
CAMERA_HEIGHT_M = 1.2
# Of the width: a field of view of 64 degrees.
FOCAL = 0.8


@dataclass(frozen=True)
class Scene:
    """
    One synthetic image with its truth.

    :ivar image: uint8 [H, W, 3], rgb.
    :ivar label: uint8 [H, W], index into ``CLASSES``.
    :ivar depth: float32 [H, W], metres, 0 = infinitely far (sky).
    :ivar instance: uint16 [H, W], 0 = none.
    """

    image: np.ndarray
    label: np.ndarray
    depth: np.ndarray
    instance: np.ndarray


@dataclass
class _Canvas:
    color: np.ndarray
    label: np.ndarray
    depth: np.ndarray
    instance: np.ndarray
    focal: float
    horizon: float

    def paint(self, mask: np.ndarray, color: np.ndarray, label: int, depth: np.ndarray | float,
              instance: int = 0) -> None:
        """Draw over what is there: from far to near, the painter's order."""
        self.color[mask] = np.broadcast_to(color, self.color.shape)[mask]
        self.label[mask], self.instance[mask] = label, instance
        self.depth[mask] = np.broadcast_to(depth, self.depth.shape)[mask]


def synthetic_scene(rng: np.random.Generator, size: tuple[int, int], objects: int = 6) -> Scene:
    """
    Draw one scene; the same generator state gives the same scene.

    :param size: (height, width).
    :param objects: things at most; some scenes have fewer.
    """
    height, width = size
    rows, columns = np.indices(size).astype(np.float32)
    canvas = _Canvas(np.zeros((*size, 3), np.float32), np.zeros(size, np.uint8),
                     np.zeros(size, np.float32), np.zeros(size, np.uint16),
                     FOCAL * width, height * rng.uniform(0.3, 0.42))
    _background(canvas, rng, rows, columns)
    # Far to near; a pole stands nearer than most of what it hides.
    depths = np.sort(rng.uniform(NEAR_M + 0.4, FAR_M - 0.5, rng.integers(2, objects + 1)))[::-1]
    for number, depth_m in enumerate(depths, start=1):
        _thing(canvas, rng, rows, columns, float(depth_m), number)
    for depth_m in np.sort(rng.uniform(NEAR_M, NEAR_M + 3.0, rng.integers(0, 3)))[::-1]:
        middle, half = rng.uniform(0, width), 0.06 * canvas.focal / depth_m
        foot = canvas.horizon + canvas.focal * CAMERA_HEIGHT_M / depth_m
        mask = (np.abs(columns - middle) < max(half, 0.8)) & (rows < foot)
        canvas.paint(mask, _textured(rng, rows, columns, np.full(3, rng.uniform(40, 110))), POLE,
                     float(depth_m))
    noisy = canvas.color * rng.uniform(0.75, 1.2) + rng.normal(0, 6, canvas.color.shape)
    return Scene(noisy.clip(0, 255).astype(np.uint8), canvas.label, canvas.depth, canvas.instance)


def _background(canvas: _Canvas, rng: np.random.Generator, rows: np.ndarray,
                columns: np.ndarray) -> None:
    sky = np.array([120, 160, 210]) + rng.uniform(-30, 30, 3)
    everywhere = np.ones(rows.shape, bool)
    canvas.paint(everywhere, _textured(rng, rows, columns, sky, 0.05), SKY, 0.0)
    far = rng.uniform(FAR_M - 3.0, FAR_M)
    top = canvas.horizon - canvas.focal * rng.uniform(0.3, 2.0) / far
    foot = canvas.horizon + canvas.focal * CAMERA_HEIGHT_M / far
    wall = rng.uniform(90, 210) + rng.uniform(-25, 25, 3)
    canvas.paint((rows >= top) & (rows < foot), _textured(rng, rows, columns, wall), WALL, far)
    floor = rng.uniform(60, 170) + rng.uniform(-25, 25, 3)
    # The plain: depth = f · height of the camera / rows below the horizon.
    plain = canvas.focal * CAMERA_HEIGHT_M / np.maximum(rows - canvas.horizon, 1e-3)
    canvas.paint(rows >= foot, _textured(rng, rows, columns, floor), FLOOR, plain)


def _thing(canvas: _Canvas, rng: np.random.Generator, rows: np.ndarray, columns: np.ndarray,
           depth_m: float, number: int) -> None:
    kind = int(rng.integers(len(THINGS)))
    pixels = canvas.focal / depth_m  # Of one metre.
    half, tall = rng.uniform(0.35, 0.7) * pixels, rng.uniform(0.8, 1.5) * pixels
    middle = rng.uniform(0, rows.shape[1])
    foot = canvas.horizon + CAMERA_HEIGHT_M * pixels
    if THINGS[kind] == 'ball':
        tall = 2 * half
    x, y = (columns - middle) / half, (foot - rows) / tall  # -1..1 across, 0..1 upwards.
    shapes: dict[str, Callable[[], np.ndarray]] = {
        'box': lambda: (np.abs(x) < 1) & (y > 0) & (y < 1),
        'ball': lambda: x**2 + (2 * y - 1)**2 < 1,
        'cone': lambda: (np.abs(x) < 1 - y) & (y > 0)}
    # Any class may have any colour; the hue only leans to one side.
    lean = np.eye(3)[kind] * rng.uniform(0, 60)
    color = _textured(rng, rows, columns, rng.uniform(40, 190, 3) + lean)
    shade = (1.0 - 0.25 * x.clip(-1, 1))[..., None]
    canvas.paint(shapes[THINGS[kind]](), color * shade, CLASSES.index(THINGS[kind]), depth_m,
                 number)


def _textured(rng: np.random.Generator, rows: np.ndarray, columns: np.ndarray,
              color: np.ndarray, strength: float = 0.18) -> np.ndarray:
    """Return a colour with stripes of a random direction and width, float32 [H, W, 3]."""
    angle, period, phase = rng.uniform(0, np.pi), rng.uniform(4, 14), rng.uniform(0, 2 * np.pi)
    wave = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * (2 * np.pi / period) + phase)
    return (color * (1.0 + strength * wave[..., None])).astype(np.float32)
