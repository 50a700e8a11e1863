# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The constants of the fused uncertainty, as one table.

    log d = log d^ + b + s + e,    sd of e = (sigma / d^) · g(distance to the nearest hint)

b is the camera's, s the image's, both shared by all pixels; e is the pixel's own.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of log depth, shared by an image, on the camera the network was trained on.
TRAINING_CAMERA_SIGMA = 0.13
# On a camera of which no more than its focal length is known: Student's t of this scale.
UNKNOWN_CAMERA_SIGMA = 0.4


@dataclass(frozen=True)
class FusionConstants:
    """
    What is fitted, by ``fitted_by``.

    :ivar distances: cells of the grid, rising: where g is given; between them it is linear,
        beyond them constant.
    :ivar growth: g there, never falling: what the relative sigma of the network is multiplied by.
    :ivar beyond: added to the standard deviation of log depth where a hole lies beyond the
        sensor's limit for sure: nothing is known there but that.
    :ivar factor_spread: by how much the standard error of the image's factor is too small, since
        neighbouring blocks of an image are not independent.
    """

    distances: tuple[float, ...]
    growth: tuple[float, ...]
    beyond: float
    factor_spread: float
    fitted_by: str

    @property
    def reach(self) -> float:
        """Return the distance beyond which a hint helps by less than a tenth, cells."""
        limit = 0.9 * self.growth[-1]
        return next(at for at, growth in zip(self.distances, self.growth) if growth >= limit)


# Of emu_default, on NYUv2's val; results/fusion/fusion.json holds them with what they are worth.
FITTED = FusionConstants(
    distances=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
    growth=(0.184, 0.335, 0.338, 0.401, 0.518, 0.695, 0.831),
    beyond=0.341,
    factor_spread=1.56,
    fitted_by='python -m training.studies.fusion --checkpoint models/emu_default.safetensors '
              '--data nyuv2')
