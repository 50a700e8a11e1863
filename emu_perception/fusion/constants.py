# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The constants of the fused uncertainty, as one table.

    log d = log d^ + b + s + e,    var e = a² (g(r)² + (k_b P)²) + (k_d D)²

b is the camera's, s the image's, both shared by all pixels; e is the pixel's own. a is the
network's relative sigma, r the distance to the nearest hint, P the chance that a hole lies beyond
the sensor's range, D the dissent of the hints: by how much what is filled in and what the nearest
hint says differ, as log. Each term widens, none narrows: where nothing is known of P or D, g says
what it would.
"""

from __future__ import annotations

from dataclasses import dataclass

# Of log depth, shared by an image, on the camera the network was trained on.
TRAINING_CAMERA_SIGMA = 0.13
# On a camera of which no more than its focal length is known: Student's t of this scale and these
# degrees of freedom. Other people's cameras were off by .41 to 1.34 (factors); what is here, one
# real camera at .74 and simulated ones that err far less than real ones, does not fit it
# (training.studies.camera_prior).
UNKNOWN_CAMERA_SIGMA = 0.4
UNKNOWN_CAMERA_DEGREES = 4.0


@dataclass(frozen=True)
class FusionConstants:
    """
    What is fitted, by ``emu study fusion``.

    :ivar distances: cells of the grid, rising: where g is given; between them it is linear,
        beyond them constant.
    :ivar growth: g there, never falling: what the relative sigma of the network is multiplied by.
    :ivar beyond: k_b: by what the relative sigma is multiplied besides, where a hole lies beyond
        the sensor's limit for sure.
    :ivar dissent: k_d: of the difference between two answers so much is taken for their error.
    :ivar factor_spread: by how much the standard error of the image's factor is too small, since
        neighbouring blocks of an image are not independent.
    """

    distances: tuple[float, ...]
    growth: tuple[float, ...]
    beyond: float
    dissent: float
    factor_spread: float

    @property
    def reach(self) -> float:
        """Return the distance beyond which a hint helps by less than a tenth, cells."""
        limit = 0.9 * self.growth[-1]
        return next(at for at, growth in zip(self.distances, self.growth) if growth >= limit)


# Of emu_default, on NYUv2's val:
# results/fusion/fusion.json holds them, what they are worth and the command that fitted them.
FITTED = FusionConstants(
    distances=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
    growth=(0.05, 0.051, 0.052, 0.128, 0.229, 0.482, 0.709),
    beyond=1.239,
    dissent=1.006,
    factor_spread=1.6)
