# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The four numbers of a camera matrix, and where they lie in the image that is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.cameras.calibration import CameraInfo


@dataclass(frozen=True)
class Pinhole:
    """Focal lengths and principal point, pixels; pixel centres lie at whole numbers."""

    fx: float
    fy: float
    cx: float
    cy: float

    def __str__(self) -> str:
        return f'fx {self.fx:g}, fy {self.fy:g}, cx {self.cx:g}, cy {self.cy:g}'

    @property
    def is_identity(self) -> bool:
        """Tell whether this is the matrix of who has none."""
        return self == Pinhole(1.0, 1.0, 0.0, 0.0)

    @property
    def is_set(self) -> bool:
        """Tell whether somebody wrote a camera into it; all zeros means "not calibrated"."""
        return self.fx > 0 and self.fy > 0 and not self.is_identity

    def in_image(self, info: CameraInfo) -> Pinhole:
        """Return it at the pixels of the image, of one of the whole sensor."""
        binning_x, binning_y = info.binning
        return Pinhole(self.fx / binning_x, self.fy / binning_y,
                       (self.cx - info.roi.x_offset) / binning_x,
                       (self.cy - info.roi.y_offset) / binning_y)

    def center_shares(self, width: float, height: float) -> tuple[float, float]:
        """Return where the principal point lies, as shares of an image's width and height."""
        return (self.cx + 0.5) / width, (self.cy + 0.5) / height

    def off_center(self, width: float, height: float) -> float:
        """Return how far the principal point is from the middle, the larger share of the two."""
        return max(abs(share - 0.5) for share in self.center_shares(width, height))


def k_of(info: CameraInfo) -> Pinhole:
    """Return K's numbers: the image as the lens gives it."""
    return _of(info.k, 3)


def p_of(info: CameraInfo) -> Pinhole:
    """Return P's numbers: the rectified image."""
    return _of(info.p, 4)


def _of(matrix: Sequence[float], columns: int) -> Pinhole:
    return Pinhole(matrix[0], matrix[columns + 1], matrix[2], matrix[columns + 2])
