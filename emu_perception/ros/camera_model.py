# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What camera_info says about an image: focal length, principal point, and how they scale."""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.recordings.camera import pinhole
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header


@dataclass(frozen=True)
class CameraModel:
    """
    A pinhole camera at the pixels of the image it sends (binning and region of interest applied).

    :ivar width, height: pixels of the image.
    :ivar fx, fy, cx, cy: pixels.
    :ivar distorted: whether the image still has the lens's distortion.
    :ivar info: the message all this came from.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distorted: bool
    info: CameraInfo

    def scaled_intrinsics(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return fx, fy, cx, cy at the pixels of the image resized to ``width`` x ``height``."""
        sx, sy = width / self.width, height / self.height
        return (self.fx * sx, self.fy * sy, _scale_center(self.cx, sx), _scale_center(self.cy, sy))


def camera_model(info: CameraInfo, *, rectified: bool) -> CameraModel:
    """
    Read a camera_info.

    :param rectified: whether the image topic is a rectified one (see :func:`looks_rectified`).
    :raises InputError: as ``pinhole``.
    """
    fx, fy, cx, cy = pinhole(info, rectified=rectified)
    roi = info.roi
    binning_x, binning_y = max(info.binning_x, 1), max(info.binning_y, 1)
    return CameraModel(
        width=(roi.width or info.width) // binning_x,
        height=(roi.height or info.height) // binning_y,
        fx=fx / binning_x, fy=fy / binning_y,
        cx=(cx - roi.x_offset) / binning_x, cy=(cy - roi.y_offset) / binning_y,
        distorted=not rectified and any(info.d), info=info)


def scaled_camera_info(camera: CameraModel, width: int, height: int,
                       header: Header) -> CameraInfo:
    """
    Return the camera_info of the image resized to ``width`` x ``height``.

    Binning and region of interest are worked into K and P, so that the result stands for itself.
    """
    info = camera.info
    sx, sy = width / camera.width, height / camera.height
    k, p = list(info.k), list(info.p)
    for matrix, columns in ((k, 3), (p, 4)):
        matrix[0] *= sx / max(info.binning_x, 1)
        matrix[columns + 1] *= sy / max(info.binning_y, 1)
        # An empty matrix (all zeros) means "not calibrated" and has to stay empty.
        if matrix[0]:
            matrix[2] = _scale_center(
                (matrix[2] - info.roi.x_offset) / max(info.binning_x, 1), sx)
            matrix[columns + 2] = _scale_center(
                (matrix[columns + 2] - info.roi.y_offset) / max(info.binning_y, 1), sy)
    # Tx = -fx * baseline and Ty scale as the focal lengths do.
    p[3] *= sx / max(info.binning_x, 1)
    p[7] *= sy / max(info.binning_y, 1)
    return CameraInfo(header=header, width=width, height=height, k=k, p=p, d=info.d, r=info.r,
                      distortion_model=info.distortion_model, roi=RegionOfInterest())


def _scale_center(center: float, scale: float) -> float:
    # Pixel centres lie at whole numbers, and a resize keeps the image's outer edges in place.
    return (center + 0.5) * scale - 0.5
