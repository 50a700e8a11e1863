# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where a camera is on its level vehicle, and how high above the ground what it sees is."""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.errors import InputError
from emu_perception.rules import as_real
import numpy as np

# What is level ground indoors, in NYUv2's names.
GROUND_CLASSES = ('floor',)
STEEPEST_DEG = 80.0  # A camera that looks straight down or up sees no ground farther away.
HIGHEST_M = 100.0


@dataclass(frozen=True)
class Mounting:
    """
    Where the camera is on its level vehicle; it does not roll.

    :ivar height_m: of the camera above the ground.
    :ivar pitch_rad: of its optical axis below the horizon.
    """

    height_m: float
    pitch_rad: float

    @classmethod
    def of(cls, height_m: float, pitch_deg: float = 0.0) -> Mounting:
        """
        Return what a user says of it.

        :raises InputError: if the camera is not above the ground, or looks straight up or down.
        """
        height, pitch = as_real(height_m), as_real(pitch_deg)
        if height is None or not 0.0 < height <= HIGHEST_M:
            raise InputError(f'camera_height is {height_m!r}: give metres above the ground, above '
                             f'0, at most {HIGHEST_M:g}')
        if pitch is None or not abs(pitch) <= STEEPEST_DEG:
            raise InputError(f'camera_pitch is {pitch_deg!r}: give degrees below the horizon, '
                             f'{-STEEPEST_DEG:g} to {STEEPEST_DEG:g}')
        return cls(height, math.radians(pitch))

    def down(self, below: np.ndarray) -> np.ndarray:
        """
        Return how far down, in metres, one metre of depth leads.

        :param below: y/z of each row, [H, 1].
        """
        return math.sin(self.pitch_rad) + below * math.cos(self.pitch_rad)

    def near_ground(self, depth: np.ndarray, below: np.ndarray, limit_m: float) -> np.ndarray:
        """
        Tell which points are as high as the ground, bool HxW; what has no height is not.

        :param depth: float32 HxW, metres; NaN unknown, +inf beyond the network's range.
        :param below: y/z of each row, [H, 1].
        :param limit_m: by so much at most a point is above or below the ground.
        """
        with np.errstate(invalid='ignore'):  # +inf * 0 is NaN, and no comparison with it holds
            height_m = self.height_m - depth * self.down(below).astype(np.float32)
            return np.asarray(np.abs(height_m) <= np.float32(limit_m))
