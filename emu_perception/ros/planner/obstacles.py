# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``~/points/obstacles``: all that is not ground, unlabelled included; never filtered."""

from __future__ import annotations

from emu_perception.planning.thinning import blindest, nearest
from emu_perception.ros.planner.source import PlannerSource
from emu_perception.ros.point_cloud import to_sparse_cloud
import numpy as np
from sensor_msgs.msg import PointCloud2


def build(source: PlannerSource) -> PointCloud2:
    """
    Return the nearest point of each block of pixels that is not ground.

    Where that is at the camera itself, by ``points_sigma_margin``, the nearest other one too. No
    point at all means that all is ground or beyond the range.

    :raises WithheldError: where the depth of too many pixels, in all or in one upright strip of
        blocks, is not known: an obstacle there would be missing in a cloud that has all else.
    """
    depth, camera = source.metres()
    source.check_unknown()
    source.check_known(blindest(depth, source.settings.points_stride), 'in one direction ')
    obstacle, stride = ~source.ground, source.settings.points_stride
    at = nearest(depth, obstacle & (depth > 0), stride)
    # What points_sigma_margin brings to the camera: consumers drop or clear that place, and it
    # must not stand for all of its block there.
    close = obstacle & (depth <= 0)
    if close.any():
        at = np.concatenate((at, nearest(depth, close, stride)))
    return to_sparse_cloud(at, depth, source.shown, source.header, camera)
