# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a camera_info says about an image: focal length, principal point, and how they scale.

A camera_info is sensor_msgs/CameraInfo or :class:`CameraInfo`, which has its fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

from emu_perception.errors import InputError


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
    """The calibration of a camera, in the fields of sensor_msgs/CameraInfo."""

    width: int
    height: int
    k: Sequence[float]
    p: Sequence[float]
    d: Sequence[float] = (0.0,) * 5
    r: Sequence[float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    distortion_model: str = 'plumb_bob'
    binning_x: int = 0
    binning_y: int = 0
    roi: RegionOfInterest = RegionOfInterest()


def pinhole_info(width: int, height: int, fx: float, fy: float | None = None,
                 cx: float | None = None, cy: float | None = None) -> CameraInfo:
    """Return the calibration of a camera without distortion; pixels, the centre by default."""
    fy = fx if fy is None else fy
    cx = (width - 1) / 2 if cx is None else cx
    cy = (height - 1) / 2 if cy is None else cy
    return CameraInfo(width, height, k=(fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0),
                      p=(fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0))


@dataclass(frozen=True)
class Camera:
    """
    A pinhole camera at the pixels of the image it sends (binning and region of interest applied).

    :ivar width, height: pixels of the image.
    :ivar fx: pixels.
    :ivar distorted: whether the image still has the lens's distortion.
    :ivar info: what all this came from.
    """

    width: int
    height: int
    fx: float
    distorted: bool
    info: Any


def pinhole(info: Any, *, rectified: bool) -> tuple[float, float, float, float]:
    """
    Return fx, fy, cx, cy of a camera_info, in pixels of the whole sensor.

    :param rectified: whether the image topic is a rectified one (see :func:`looks_rectified`).
    :raises InputError: if the camera is not calibrated or the numbers make no sense.
    """
    # P holds the camera of the rectified image, which rectification may have zoomed; K the one of
    # the image as the sensor gives it.
    use_p = rectified and info.p[0] > 0 or not info.k[0] > 0
    matrix, row = (info.p, 4) if use_p else (info.k, 3)
    fx, fy, cx, cy = (float(matrix[i]) for i in (0, row + 1, 2, row + 2))
    # Every number: what is not used here is handed on in the outgoing camera_info.
    usable = fx > 0 and fy > 0 and all(map(math.isfinite, (*info.k, *info.p, *info.r, *info.d)))
    if not (usable and info.width and info.height):
        raise InputError(f'camera_info is not calibrated: fx {fx}, fy {fy}, cx {cx}, cy {cy}, '
                         f'size {info.width}x{info.height}')
    # Half a degree to 170 degrees of view: outside of it is a unit or a matrix gone wrong, and a
    # focal length of almost 0 would make sigma 0, which lowers the risk flag.
    if not all(0.04 < f / side < 100 for f, side in ((fx, info.width), (fy, info.height))):
        raise InputError(f'camera_info is not plausible: fx {fx}, fy {fy} pixels at '
                         f'{info.width}x{info.height}')
    return fx, fy, cx, cy


def read_camera(info: Any, *, rectified: bool) -> Camera:
    """
    Read a camera_info.

    :param rectified: whether the image topic is a rectified one (see :func:`looks_rectified`).
    :raises InputError: as :func:`pinhole`.
    """
    fx, _, _, _ = pinhole(info, rectified=rectified)
    binning_x, binning_y = max(info.binning_x, 1), max(info.binning_y, 1)
    return Camera(width=(info.roi.width or info.width) // binning_x,
                  height=(info.roi.height or info.height) // binning_y, fx=fx / binning_x,
                  distorted=not rectified and any(value != 0 for value in info.d), info=info)


def looks_rectified(topic: str) -> bool:
    """Tell by the last part of its name whether a topic is rectified (image_proc's naming)."""
    parts = [part for part in topic.split('/') if part not in ('', 'compressed')]
    return bool(parts) and 'rect' in parts[-1] and 'unrect' not in parts[-1]


def beside(image_topic: str) -> str:
    """Return the camera_info topic of an image topic: /a/camera_info of /a/image_raw."""
    return image_topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'


def scaled_info(camera: Camera, width: int, height: int) -> CameraInfo:
    """
    Return the calibration of the image resized to ``width`` x ``height``.

    Binning and region of interest are worked into K and P, so that the result stands for itself.
    """
    info = camera.info
    sx, sy = width / camera.width, height / camera.height
    binning_x, binning_y = max(info.binning_x, 1), max(info.binning_y, 1)
    k, p = [float(value) for value in info.k], [float(value) for value in info.p]
    for matrix, columns in ((k, 3), (p, 4)):
        if matrix[0]:  # All zeros means "not calibrated" and has to stay so.
            matrix[0] *= sx / binning_x
            matrix[columns + 1] *= sy / binning_y
            # Pixel centres lie at whole numbers, and a resize keeps the image's outer edges.
            matrix[2] = ((matrix[2] - info.roi.x_offset) / binning_x + 0.5) * sx - 0.5
            matrix[columns + 2] = ((matrix[columns + 2] - info.roi.y_offset) / binning_y
                                   + 0.5) * sy - 0.5
    # Tx = -fx * baseline and Ty scale as the focal lengths do.
    p[3] *= sx / binning_x
    p[7] *= sy / binning_y
    return CameraInfo(width, height, k, p, [float(value) for value in info.d],
                      [float(value) for value in info.r], str(info.distortion_model))
