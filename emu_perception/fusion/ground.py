# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The ground as a ruler: who knows how high its camera is, knows how far away the floor is.

A pixel of level ground is z = h / d metres deep, h the camera's height and d how far down one
metre of depth leads there. What that is of the network's depth is the image's factor, as a depth
camera would tell it.

What is taken for ground and is none (a table, a bed) lies above it: nearer than z, so that every
such mistake makes metres farther, which is the less careful way. So a factor above ``FARTHEST`` is
not believed, nor one that is farther than what is known by more than both allow, as a depth camera
may have told it; one that is nearer is, as far as any depth camera's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math

import cv2
from emu_perception.cameras.camera import Camera
from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.constants import FITTED
from emu_perception.fusion.factor import FactorReading, OUTLIER, read_factor
from emu_perception.fusion.grid import grid_size
from emu_perception.planning.ground_pixels import ground_pixels
from emu_perception.planning.mounting import Mounting
from emu_perception.prediction import Prediction
import numpy as np

# Of the log factor: by so much ground and image are of different factors, on level ground with a
# pitch that is right to 1.5 degrees (training.studies.ground).
GROUND_SIGMA = 0.12
FARTHEST = math.log(1.35)
# Radians: by so much a pitch is wrong. Where the ground is seen far away alone that decides.
_PITCH_SIGMA = math.radians(1.5)
# What may as well be something else tells no scale.
SURE = 0.5
# Where less than this share of an image is ground, it says nothing; so much of ``down`` and less
# is so near the horizon that a degree of pitch decides how far away it is.
LEAST_SHARE, _LEAST_DOWN = 0.02, 0.1
_F = np.float32


@dataclass(frozen=True)
class Ground:
    """
    What of an image is ground, and how far down it lies.

    :ivar seen: bool [H, W]: a class of the ground, and surely.
    :ivar down: [H, 1], so many metres down one metre of depth leads in each row
        (``Mounting.down``); what points upwards is negative.
    :ivar mounting: of the camera above the ground.
    :ivar names: of the classes that are taken for ground.
    """

    seen: np.ndarray
    down: np.ndarray
    mounting: Mounting
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, prediction: Prediction, camera: Camera, mounting: Mounting,
           classes: Sequence[str], names: Sequence[str], least: float = 0.0) -> Ground:
        """
        Return the ground of an image.

        :param camera: of the image, rectified.
        :param classes: of the network, by index; ``names`` those of the ground.
        :param least: probability of a pixel's class; never below ``SURE``.
        :raises InputError: one line, if a name is of no class.
        """
        height, width = prediction.size
        return cls(ground_pixels(prediction, classes, names, max(least, SURE)),
                   mounting.down(camera.scaled(width, height).rays()[1]), mounting,
                   tuple(names))

    @property
    def told_by(self) -> tuple[object, ...]:
        """Return what a user says of it: of another one, what was told before holds no more."""
        return self.mounting, self.names


@dataclass(frozen=True)
class GroundWord:
    """
    What became of the ground of an image.

    :ivar belief: in the factor, after it.
    :ivar reading: of the image; None where it shows too little ground.
    :ivar problem: in one line why the reading was not believed; '' where it was.
    :ivar nearer: whether it was not believed as far nearer than the network.
    """

    belief: ScaleBelief
    reading: FactorReading | None = None
    problem: str = ''
    nearer: bool = False


def read_ground(depth: np.ndarray, ground: Ground) -> FactorReading | None:
    """
    Return the factor that the ground tells; None where too little of it is seen.

    :param depth: float32 [H, W], the network's metres; NaN, +inf as in a Prediction.
    """
    size = grid_size((depth.shape[0], depth.shape[1]))
    small = cv2.resize(depth, size[::-1], interpolation=cv2.INTER_NEAREST)
    seen = cv2.resize(ground.seen.view(np.uint8), size[::-1],
                      interpolation=cv2.INTER_NEAREST) > 0
    down = cv2.resize(ground.down.astype(_F), (1, size[0]), interpolation=cv2.INTER_NEAREST)
    known = seen & np.isfinite(small) & (small > 0) & (down > _LEAST_DOWN)
    if known.sum() < LEAST_SHARE * known.size:
        return None
    ratio = np.zeros(size, _F)
    true = _F(ground.mounting.height_m) / np.where(known, down, _F(1.0))
    np.log(true / np.where(known, small, _F(1.0)), out=ratio, where=known)
    known &= np.abs(ratio - np.median(ratio[known])) < OUTLIER
    reading = read_factor(ratio, known, FITTED.factor_spread)
    if reading is None:
        return None
    of_pitch = _PITCH_SIGMA / float(np.median(np.broadcast_to(down, size)[known]))
    return replace(reading, sigma=math.hypot(reading.sigma, max(GROUND_SIGMA, of_pitch)))


def heard(belief: ScaleBelief, depth: np.ndarray, ground: Ground) -> GroundWord:
    """Return what is believed of the factor with the ground of an image, see `read_ground`."""
    reading = read_ground(depth, ground)
    if reading is None:
        return GroundWord(belief)
    said = (f'the ground says {reading.factor:.2g} of the metres that the network says, by a '
            f'camera {ground.mounting.height_m:g} m above it')
    if reading.log_factor < 0.0 and not belief.plausible(reading):
        return GroundWord(belief, reading, f'{said}: are its height (m) and pitch right?', True)
    if reading.log_factor > FARTHEST:
        return GroundWord(belief, reading, f'{said}: is what is labelled ground above it, or are '
                          'height (m) or pitch wrong? Nothing is made farther by that much')
    if reading.log_factor > belief.log_factor and belief.surprise(reading):
        return GroundWord(belief, reading, f'{said}, of which {belief.factor:.2g} was known:'
                          ' is what is labelled ground above it? It makes nothing so much farther')
    return GroundWord(belief.updated(reading), reading)
