# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What is known of the factor from network to metres, from image to image: a Kalman filter.

The logarithm of the factor is b + s. b is the camera's and hardly moves; s is the scene's and is
forgotten within seconds, which is why the images of one room do not average down: they share s.
Both return to what was known before at their rates where no hint comes: s within half a minute,
b within the hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

from emu_perception.fusion.constants import (
    TRAINING_CAMERA_SIGMA,
    UNKNOWN_CAMERA_DEGREES,
    UNKNOWN_CAMERA_SIGMA,
)
from emu_perception.fusion.factor import FactorReading

SCENE_S = 30.0  # Time constant of s: a robot is in another room then.
CAMERA_S = 3600.0  # And of b.
_SURPRISING = 3.0  # Standard deviations.
# Farther from 1 than this, as log or in standard deviations, is no camera's factor: other units,
# what a driver writes for nothing seen, another view.
_LEAST_IMPLAUSIBLE, _IMPLAUSIBLE = math.log(4.0), 3.0


@dataclass(frozen=True)
class ScaleBelief:
    """
    Mean and covariance of (b, s).

    :ivar camera: mean of b, ``scene`` of s.
    :ivar camera_variance: likewise, ``scene_variance``, ``covariance``.
    :ivar camera_prior: standard deviation of b before any hint; ``scene_prior`` of s.
    """

    camera: float
    scene: float
    camera_variance: float
    scene_variance: float
    covariance: float
    camera_prior: float
    scene_prior: float

    @classmethod
    def before(cls, sigma: float = UNKNOWN_CAMERA_SIGMA) -> ScaleBelief:
        """
        Return what is known before any hint.

        :param sigma: scale of the camera's Student's t: ``UNKNOWN_CAMERA_SIGMA``; 0 for the
            camera the network was trained on, which leaves s alone.
        """
        # The variance of Student's t is n / (n - 2) times its scale squared.
        prior = sigma * math.sqrt(UNKNOWN_CAMERA_DEGREES / (UNKNOWN_CAMERA_DEGREES - 2.0))
        scene = TRAINING_CAMERA_SIGMA
        return cls(0.0, 0.0, prior ** 2, scene ** 2, 0.0, prior, scene)

    @property
    def log_factor(self) -> float:
        """Return the mean of b + s."""
        return self.camera + self.scene

    @property
    def sigma(self) -> float:
        """Return the standard deviation of b + s: relative, shared by all pixels of an image."""
        return math.sqrt(self.camera_variance + self.scene_variance + 2.0 * self.covariance)

    @property
    def factor(self) -> float:
        """Return what the network's metres are multiplied by."""
        return math.exp(self.log_factor)

    def after(self, seconds: float) -> ScaleBelief:
        """Return what is left of it after a time without a hint; never more certain."""
        elapsed = max(seconds, 0.0)
        kept_b, kept_s = math.exp(-elapsed / CAMERA_S), math.exp(-elapsed / SCENE_S)
        return replace(
            self, camera=kept_b * self.camera, scene=kept_s * self.scene,
            camera_variance=_toward(self.camera_variance, self.camera_prior, kept_b),
            scene_variance=_toward(self.scene_variance, self.scene_prior, kept_s),
            covariance=kept_b * kept_s * self.covariance)

    def plausible(self, reading: FactorReading) -> bool:
        """Tell whether a reading may be of this camera, by what was known before any hint."""
        known = math.sqrt(self.camera_prior ** 2 + self.scene_prior ** 2 + reading.sigma ** 2)
        return abs(reading.log_factor) <= max(_IMPLAUSIBLE * known, _LEAST_IMPLAUSIBLE)

    def surprise(self, reading: FactorReading) -> float:
        """Return by how much a reading is further off than belief and reading allow, as log."""
        total = self.sigma ** 2 + reading.sigma ** 2
        return max(abs(reading.log_factor - self.log_factor) - _SURPRISING * math.sqrt(total), 0.0)

    def updated(self, reading: FactorReading) -> ScaleBelief:
        """Return the belief with an image's reading."""
        total = self.sigma ** 2 + reading.sigma ** 2
        if not total > 0.0:
            return self
        # Further off than both allow: it is the scene's, or the sensor's, and not the camera's;
        # and it is not believed before another says the same.
        excess = self.surprise(reading) ** 2
        if excess:
            known = replace(self, scene_variance=self.scene_variance + excess)
            found = known._joined(reading)
            return replace(found, scene_variance=found.scene_variance + excess)
        return self._joined(reading)

    def _joined(self, reading: FactorReading) -> ScaleBelief:
        with_b = self.camera_variance + self.covariance
        with_s = self.scene_variance + self.covariance
        total = self.sigma ** 2 + reading.sigma ** 2
        surprise = (reading.log_factor - self.log_factor) / total
        found = replace(
            self, camera=self.camera + with_b * surprise, scene=self.scene + with_s * surprise,
            camera_variance=self.camera_variance - with_b ** 2 / total,
            scene_variance=self.scene_variance - with_s ** 2 / total,
            covariance=self.covariance - with_b * with_s / total)
        # Images of one view err alike: a hundred of them say no more than the best one.
        short = min(self.sigma, reading.sigma) ** 2 - found.sigma ** 2
        return replace(found, scene_variance=found.scene_variance + max(short, 0.0))


def _toward(variance: float, prior: float, kept: float) -> float:
    return kept ** 2 * variance + (1.0 - kept ** 2) * prior ** 2
