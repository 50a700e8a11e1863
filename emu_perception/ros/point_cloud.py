# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depth, labels and colours as an organised point cloud, pixel aligned with the label image."""

from __future__ import annotations

from emu_perception.cameras.camera import Camera
from emu_perception.cloud_layout import FIELDS, packed, POINT
from emu_perception.points import points_of
from emu_perception.prediction import UNLABELLED
from emu_perception.ros.image_messages import to_bytes
from emu_perception.shown import Shown
import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_FIELDS = [PointField(name=name, offset=offset, datatype=kind, count=1)
           for name, offset, kind in FIELDS]


def to_point_cloud(depth: np.ndarray, rgb: np.ndarray, header: Header, camera: Camera, *,
                   label: np.ndarray | None = None,
                   sigma: np.ndarray | None = None) -> PointCloud2:
    """
    Make a cloud in the camera's optical frame, one point a pixel; NaN where depth is unknown.

    :param depth: float32 HxW, metres along the optical axis; +inf and NaN give NaN points.
    :param rgb: uint8 HxWx3.
    :param camera: at the pixels of ``depth``.
    :param label: uint8 HxW, 255 where unlabelled; None gives 255 everywhere.
    :param sigma: float32 HxW, metres; None gives NaN.
    """
    points = points_of(depth, packed(rgb), camera, label=label, sigma=sigma, layout=POINT)
    return _cloud(points, header, is_dense=False)


def to_sparse_cloud(at: np.ndarray, depth: np.ndarray, shown: Shown, header: Header,
                    camera: Camera) -> PointCloud2:
    """
    Make a cloud of some pixels, without order, of the same fields; all its points are finite.

    :param at: flat indices of the pixels, whose depth is finite.
    :param depth: float32 HxW, metres along the optical axis.
    :param camera: at the pixels of ``depth``.
    """
    width, prediction = depth.shape[1], shown.prediction
    ray_x, ray_y = (rays.ravel() for rays in camera.rays())
    points = np.empty((1, len(at)), POINT)
    points['z'] = z = depth.ravel()[at]
    points['x'] = z * ray_x[at % width]
    points['y'] = z * ray_y[at // width]
    points['rgb'] = packed(shown.picture.reshape(-1, 3)[at])
    points['label'] = UNLABELLED if prediction.label is None else prediction.label.ravel()[at]
    points['sigma'] = (np.nan if prediction.depth_variance is None
                       else np.sqrt(prediction.depth_variance.ravel()[at]))
    return _cloud(points, header, is_dense=True)


def _cloud(points: np.ndarray, header: Header, *, is_dense: bool) -> PointCloud2:
    height, width = points.shape
    cloud = PointCloud2(header=header, height=height, width=width, fields=_FIELDS,
                        is_bigendian=False, point_step=POINT.itemsize,
                        row_step=POINT.itemsize * width, is_dense=is_dense)
    cloud.data = to_bytes(points)  # set afterwards: the constructor would copy it once more
    return cloud
