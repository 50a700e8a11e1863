# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The calibration of a camera, as sensor_msgs/CameraInfo tells it."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any


@dataclass(frozen=True)
class RegionOfInterest:
    """The part of the sensor that is read; all zero: the whole of it."""

    x_offset: int = 0
    y_offset: int = 0
    height: int = 0
    width: int = 0
    do_rectify: bool = False


@dataclass(frozen=True)
class CameraInfo:
    """
    The fields of sensor_msgs/CameraInfo but its header, all in pixels of the whole sensor.

    :ivar k: 3x3, row by row, of the image as the lens gives it.
    :ivar p: 3x4, row by row, of the rectified image.
    :ivar binning_x: sensor pixels that become one of the image; 0 and 1 are none.
    """

    width: int
    height: int
    k: tuple[float, ...]
    p: tuple[float, ...]
    d: tuple[float, ...] = (0.0,) * 5
    r: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    distortion_model: str = 'plumb_bob'
    binning_x: int = 0
    binning_y: int = 0
    roi: RegionOfInterest = RegionOfInterest()

    @property
    def binning(self) -> tuple[int, int]:
        """Return the binning in x and y, 1 where there is none."""
        return max(self.binning_x, 1), max(self.binning_y, 1)


def pinhole_info(width: int, height: int, fx: float, fy: float | None = None,
                 cx: float | None = None, cy: float | None = None) -> CameraInfo:
    """Return the calibration of a camera without distortion; pixels, the centre by default."""
    fy = fx if fy is None else fy
    cx = (width - 1) / 2 if cx is None else cx
    cy = (height - 1) / 2 if cy is None else cy
    return CameraInfo(width, height, k=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
                      p=(fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0))


def info_of_view(width: int, height: int, hfov_deg: float) -> CameraInfo:
    """Return the calibration of an image of which the horizontal field of view is known."""
    return pinhole_info(width, height, width / 2 / math.tan(math.radians(hfov_deg) / 2))


def from_message(message: Any) -> CameraInfo:
    """Return what a sensor_msgs/CameraInfo says, be it of rclpy or of rosbags."""
    def numbers(values: Any) -> tuple[float, ...]:
        return tuple(float(value) for value in values)

    roi = message.roi
    return CameraInfo(
        int(message.width), int(message.height), numbers(message.k), numbers(message.p),
        numbers(message.d), numbers(message.r), str(message.distortion_model),
        int(message.binning_x), int(message.binning_y),
        RegionOfInterest(int(roi.x_offset), int(roi.y_offset), int(roi.height), int(roi.width),
                         bool(roi.do_rectify)))
