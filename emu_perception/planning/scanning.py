# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How near the nearest obstacle is in each horizontal direction, as a laser scanner tells it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

from emu_perception.cameras.camera import Camera
from emu_perception.planning.mounting import Mounting
import numpy as np

# Rays steeper than this, in forward metres by metre of depth, have no direction to speak of.
_LEAST_FORWARD = 0.05


@dataclass(frozen=True)
class Scan:
    """
    A scan in the level frame at the camera: x forward, z up, angles to the left.

    :ivar ranges: float32 [N], metres; NaN where no obstacle is seen, whatever the reason. Never
        +inf: Nav2 may take that for a way that is free.
    :ivar blind: largest share of the pixels of one direction whose depth is not known; 1 where no
        pixel has a direction.
    """

    angle_min: float
    angle_increment: float
    ranges: np.ndarray
    blind: float

    @property
    def angle_max(self) -> float:
        """Return the direction of the last range."""
        return self.angle_min + (len(self.ranges) - 1) * self.angle_increment


@dataclass(frozen=True)
class _Directions:
    """
    Of each pixel: what a metre of depth is in height and in range; and pixels by direction.

    :ivar order: flat indices of the pixels with a direction, sorted by it.
    :ivar starts: where in ``order`` each direction begins that has a pixel, and ``bins``, which.
    """

    down: np.ndarray
    range_: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    bins: np.ndarray
    angle_min: float
    increment: float
    count: int


def scan(depth: np.ndarray, obstacle: np.ndarray, camera: Camera, mounting: Mounting, *,
         heights_m: tuple[float, float], increment_rad: float,
         nearest: np.ndarray | None = None) -> Scan:
    """
    Return the nearest obstacle within a band of heights, by direction.

    :param depth: float32 HxW, metres; NaN unknown, +inf beyond the network's range.
    :param nearest: float32 HxW, at most ``depth``; what may be as near as that is an obstacle
        wherever its ray is within the band from there to ``depth``. None: there is no such doubt.
    :param obstacle: bool HxW.
    :param camera: at the pixels of ``depth``.
    :param heights_m: above the ground, lowest and highest.
    :param increment_rad: between directions; never finer than a pixel.
    """
    # Two pixels beside the axis are so far apart; a hair more, that rounding leaves none empty.
    finest = 2.0 * math.atan2(0.5, camera.fx) * (1.0 + 1e-6)
    at = _directions(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy,
                     mounting.pitch_rad, max(increment_rad, finest))
    near = depth if nearest is None else nearest
    within, first = _in_band(near, depth, at.down, mounting.height_m, heights_m)
    with np.errstate(invalid='ignore'):  # inf * 0
        metres = np.where(obstacle & within & np.isfinite(depth), first * at.range_,
                          np.float32(np.inf))
    ranges = np.full(at.count, np.nan, np.float32)
    blind = 0.0 if len(at.order) else 1.0
    if len(at.order):
        least = np.minimum.reduceat(metres.ravel()[at.order], at.starts)
        ranges[at.bins] = np.where(np.isfinite(least), least, np.float32(np.nan))
        unknown = np.isnan(near)
        if unknown.any():
            lost = np.add.reduceat(unknown.ravel()[at.order].astype(np.float32), at.starts)
            pixels = np.diff(np.append(at.starts, len(at.order)))
            blind = float((lost / pixels).max())
    return Scan(at.angle_min, at.increment, ranges, blind)


def _in_band(near: np.ndarray, depth: np.ndarray, down: np.ndarray, camera_m: float,
             heights_m: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """
    Tell which rays are within the heights between ``near`` and ``depth``, and from which depth on.

    Not by the height of ``near`` alone: a point that comes nearer along its ray also comes towards
    the camera's height, and an obstacle must not leave the band by the doubt in its distance.
    """
    low, high = heights_m
    # +inf * 0 is NaN, and no comparison with it holds; rays along the horizon stay at one height.
    with np.errstate(invalid='ignore', divide='ignore'):
        far_m = camera_m - depth * down
        if near is depth:
            return (far_m >= low) & (far_m <= high), depth
        near_m = camera_m - near * down
        within = (np.minimum(near_m, far_m) <= high) & (np.maximum(near_m, far_m) >= low)
        first = np.where(near_m > high, (camera_m - high) / down,
                         np.where(near_m < low, (camera_m - low) / down, near))
    return within, first


# An entry is megabytes; more cameras than entries would make one for every image.
@lru_cache(maxsize=16)
def _directions(width: int, height: int, fx: float, fy: float, cx: float, cy: float,
                pitch_rad: float, increment: float) -> _Directions:
    right = (np.arange(width) - cx)[None, :] / fx
    below = (np.arange(height) - cy)[:, None] / fy
    forward = math.cos(pitch_rad) - below * math.sin(pitch_rad)
    angle = np.arctan2(-right, forward)
    ahead = np.broadcast_to(forward > _LEAST_FORWARD, angle.shape)
    half = float(np.abs(angle[ahead]).max(initial=0.0))
    count = 2 * math.ceil(half / increment) + 1
    angle_min = -(count // 2) * increment
    bins = np.rint((angle - angle_min) / increment).astype(np.int64)
    order = np.argsort(np.where(ahead, bins, count), axis=None, kind='stable')
    order = order[:int(ahead.sum())]
    present, starts = np.unique(bins.ravel()[order], return_index=True)
    return _Directions(
        Mounting(0.0, pitch_rad).down(below).astype(np.float32),
        np.hypot(right, forward).astype(np.float32), order, starts, present, angle_min,
        increment, count)
