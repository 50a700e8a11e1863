# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera at the pixels of its image, and how it scales with the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from emu_perception.cameras.calibration import CameraInfo, pinhole_info, RegionOfInterest
from emu_perception.cameras.lens import distorts
from emu_perception.cameras.pinhole import k_of, p_of
from emu_perception.cameras.rectification import Rectification
import numpy as np


@dataclass(frozen=True)
class Camera:
    """
    A pinhole camera at the pixels of the image it sends (binning and region of interest applied).

    Pixel centres lie at whole numbers. :func:`~.judgement.judge` makes it of a calibration.

    :ivar width, height: pixels of the image.
    :ivar fx, fy, cx, cy: pixels.
    :ivar distorted: whether the image still has the lens's distortion.
    :ivar info: the calibration all this came from; of the rectified image, where it is rectified.
    :ivar rectification: how the image that comes is made this camera's; None: it is that already.
    :ivar raw_info: of the image that comes, where it has to be rectified.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distorted: bool
    info: CameraInfo
    rectification: Rectification | None = None
    raw_info: CameraInfo | None = None

    @property
    def info_of_input(self) -> CameraInfo:
        """Return the calibration of the image as it comes."""
        return self.raw_info or self.info

    def rectified(self, image: np.ndarray) -> np.ndarray:
        """Return what comes, uint8 [H, W, 3], as this camera's image."""
        return image if self.rectification is None else self.rectification.image(image)

    def scaled(self, width: int, height: int) -> Camera:
        """
        Return the camera of the (rectified) image resized to ``width`` x ``height``.

        Binning and region of interest are worked into its ``info``, which stands for itself.
        """
        sx, sy = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy,
                       cx=_scaled_center(self.cx, sx), cy=_scaled_center(self.cy, sy),
                       info=_scaled_info(self.info, width, height, sx, sy),
                       rectification=None, raw_info=None)

    def outgoing(self, width: int, height: int) -> CameraInfo:
        """
        Return the calibration that goes out with this camera's image, resized.

        Readers take depth to be of P. Where this camera is not P's, since the image is not
        rectified and there is no distortion to take out, P is this camera's and R the identity.
        So it is where a matrix is empty, as many drivers leave P: readers would divide by its 0,
        and points that are no numbers look like a free way.
        """
        at = self.scaled(width, height)
        k, p = k_of(at.info), p_of(at.info)
        if distorts(at.info):
            return at.info if p.is_set else replace(at.info, p=at.pinhole.p)
        if k.is_set and p.is_set and np.allclose((p.fx, p.fy, p.cx, p.cy), (
                at.fx, at.fy, at.cx, at.cy), rtol=1e-6, atol=1e-6):
            return at.info
        return at.pinhole

    @property
    def pinhole(self) -> CameraInfo:
        """Return this camera by itself: P = K, R = I, D = 0."""
        return pinhole_info(self.width, self.height, self.fx, self.fy, self.cx, self.cy)

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Return x/z of each column and y/z of each row, float32 [1, W] and [H, 1].

        A pixel of depth z metres is the point (z x/z, z y/z, z) of the camera's optical frame.
        """
        return _rays(self.width, self.height, self.fx, self.fy, self.cx, self.cy)


@lru_cache(maxsize=4)
def _rays(width: int, height: int, fx: float, fy: float, cx: float, cy: float
          ) -> tuple[np.ndarray, np.ndarray]:
    x = ((np.arange(width) - cx) / fx).astype(np.float32)
    y = ((np.arange(height) - cy) / fy).astype(np.float32)
    return x[None, :], y[:, None]


def _scaled_info(info: CameraInfo, width: int, height: int, sx: float, sy: float) -> CameraInfo:
    binning_x, binning_y = info.binning
    k, p = list(info.k), list(info.p)
    for matrix, columns in ((k, 3), (p, 4)):
        if matrix[0]:  # All zeros means "not calibrated" and has to stay so.
            matrix[0] *= sx / binning_x
            matrix[columns + 1] *= sy / binning_y
            matrix[2] = _scaled_center((matrix[2] - info.roi.x_offset) / binning_x, sx)
            matrix[columns + 2] = _scaled_center(
                (matrix[columns + 2] - info.roi.y_offset) / binning_y, sy)
    # Tx = -fx * baseline and Ty scale as the focal lengths do.
    p[3] *= sx / binning_x
    p[7] *= sy / binning_y
    return replace(info, width=width, height=height, k=tuple(k), p=tuple(p), binning_x=0,
                   binning_y=0, roi=RegionOfInterest())


def _scaled_center(center: float, scale: float) -> float:
    # Pixel centres lie at whole numbers, and a resize keeps the image's outer edges in place.
    return (center + 0.5) * scale - 0.5
