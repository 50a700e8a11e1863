# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Depth, labels and colours as an organised array of points in the camera's optical frame."""

from __future__ import annotations

from emu_perception.cameras.camera import Camera
from emu_perception.prediction import UNLABELLED
import numpy as np

POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('rgb', 'u1', 3), ('label', 'u1'),
                  ('sigma', '<f4')])


def points_of(depth: np.ndarray, rgb: np.ndarray, camera: Camera, *, label: np.ndarray | None,
              sigma: np.ndarray | None, layout: np.dtype[np.void] = POINT) -> np.ndarray:
    """
    Return a point for each pixel, [H, W] of ``layout``: metres, x right, y down, z ahead.

    :param depth: float32 HxW, metres along the optical axis; +inf and NaN give NaN points.
    :param rgb: uint8 HxWx3; or what the layout holds of a colour.
    :param camera: at the pixels of ``depth``.
    :param label: uint8 HxW; None gives 255 everywhere.
    :param sigma: float32 HxW, metres; None gives NaN.
    :param layout: the fields of ``POINT`` by name, in another order or of other types.
    """
    ray_x, ray_y = camera.rays()
    points = np.empty(depth.shape, layout)
    z = np.where(np.isfinite(depth), depth, np.float32(np.nan))
    points['x'], points['y'], points['z'] = z * ray_x, z * ray_y, z
    points['rgb'] = rgb
    points['label'] = UNLABELLED if label is None else label
    points['sigma'] = np.nan if sigma is None else sigma
    return points
