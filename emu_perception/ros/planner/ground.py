# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``~/points/ground``: the points of the classes that ``ground_classes`` names."""

from __future__ import annotations

from emu_perception.planning.thinning import middles
from emu_perception.ros.planner.source import NotAskedForError, PlannerSource
from emu_perception.ros.point_cloud import to_sparse_cloud
import numpy as np
from sensor_msgs.msg import PointCloud2


def build(source: PlannerSource) -> PointCloud2:
    """
    Return the ground's points, one a block.

    :raises NotAskedForError: where no class is named ground.
    :raises WithheldError: where the depth of too many pixels is not known.
    """
    if not source.settings.ground_classes:
        raise NotAskedForError('name the classes in ground_classes')
    depth, camera = source.metres()
    source.check_unknown()
    at = middles(depth.shape[0], depth.shape[1], source.settings.points_stride)
    at = at[source.ground.ravel()[at] & np.isfinite(depth.ravel()[at])]
    return to_sparse_cloud(at, depth, source.shown, source.header, camera)
