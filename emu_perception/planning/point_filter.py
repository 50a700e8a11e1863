# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Which pixels' points a map is made of.

A filter deletes obstacles: whatever it makes is for mapping, never for stopping.
"""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.planning.thinning import middles
import numpy as np

Rays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PointFilter:
    """
    What a point must be to stay; 0 asks nothing.

    :ivar stride: pixels from one point to the next, either way.
    :ivar voxel_m: at most one point, the first, in a cube of such a side (of at least a millionth
        of the farthest coordinate).
    :ivar max_range_m: from the camera.
    :ivar max_sigma_m: of the depth.
    :ivar max_relative_sigma: of depth sigma / depth.
    :ivar max_entropy: of the labels, nat.
    :ivar classes: bool [256] by label; None takes all.
    """

    stride: int = 1
    voxel_m: float = 0.0
    max_range_m: float = 0.0
    max_sigma_m: float = 0.0
    max_relative_sigma: float = 0.0
    max_entropy: float = 0.0
    classes: np.ndarray | None = None

    def choose(self, depth: np.ndarray, rays: Rays, *, variance: np.ndarray | None = None,
               entropy: np.ndarray | None = None, label: np.ndarray | None = None
               ) -> tuple[np.ndarray, float]:
        """
        Return the flat indices of the pixels that stay, and which share of them all was lost.

        Lost is what is not known or not believed. Points out of range or of other classes are not
        asked for, and no loss.

        :param depth: float32 HxW, metres; +inf is beyond the network's range, NaN unknown.
        :param rays: of the camera at these pixels, as ``Camera.rays`` gives them.
        :param variance: of the depth, m², HxW; None: a limit of sigma loses all.
        :param entropy: nat, HxW; None: a limit of entropy loses all.
        :param label: uint8 HxW; None: a choice of classes takes none.
        """
        at = middles(depth.shape[0], depth.shape[1], self.stride)
        z = depth.ravel()[at]
        with np.errstate(invalid='ignore'):  # inf * 0 and comparisons with NaN: both are False
            believed = ~np.isnan(z)
            if self.max_sigma_m > 0:
                believed &= _within(variance, at, np.float32(self.max_sigma_m ** 2))
            if self.max_relative_sigma > 0:
                believed &= _within(variance, at, np.square(self.max_relative_sigma * z))
            if self.max_entropy > 0:
                believed &= _within(entropy, at, np.float32(self.max_entropy))
            kept = believed & np.isfinite(z)
            x, y = z * rays[0].ravel()[at % depth.shape[1]], z * rays[1].ravel()[
                at // depth.shape[1]]
            if self.max_range_m > 0:
                kept &= x * x + y * y + z * z <= self.max_range_m ** 2
        if self.classes is not None:
            kept &= False if label is None else self.classes[label.ravel()[at]]
        found = np.flatnonzero(kept)
        if self.voxel_m > 0:
            found = found[_first_of_voxels(x[found], y[found], z[found], self.voxel_m)]
        return at[found], 1.0 - float(believed.mean())


def _within(values: np.ndarray | None, at: np.ndarray, limit: np.ndarray | np.float32
            ) -> np.ndarray:
    """Tell where a value is known and at most its limit."""
    if values is None:
        return np.zeros(at.shape, bool)
    return np.asarray(values.ravel()[at] <= limit)


def _first_of_voxels(x: np.ndarray, y: np.ndarray, z: np.ndarray, side_m: float) -> np.ndarray:
    key = np.zeros(x.shape, np.int64)
    # 21 bits each: with more than a million cubes either way far points would share one.
    farthest = max(float(np.abs(values).max(initial=0.0)) for values in (x, y, z))
    side_m = max(side_m, farthest / (2**20 - 1))
    for values in (x, y, z):
        key = key << 21 | np.clip(np.floor(values / side_m), -2**20, 2**20 - 1).astype(
            np.int64) + 2**20
    return np.sort(np.unique(key, return_index=True)[1])
