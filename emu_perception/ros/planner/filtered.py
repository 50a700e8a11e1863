# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``~/points/filtered``: few and good points, for mapping. Filters delete obstacles."""

from __future__ import annotations

from emu_perception.planning.classes import members
from emu_perception.planning.point_filter import PointFilter
from emu_perception.ros.planner.source import PlannerSource, WithheldError
from emu_perception.ros.point_cloud import to_sparse_cloud
from sensor_msgs.msg import PointCloud2


def build(source: PlannerSource) -> PointCloud2:
    """
    Return the points that pass the filters of the parameters.

    :raises WithheldError: where they took too much, or all.
    """
    settings, (_, camera) = source.settings, source.metres()
    # A map is of what is measured: points_sigma_margin is for what a robot stops at.
    prediction, depth = source.shown.prediction, source.measured()
    chosen = PointFilter(
        stride=settings.points_stride, voxel_m=settings.filtered_voxel_m,
        max_range_m=settings.filtered_max_range_m, max_sigma_m=settings.filtered_max_sigma_m,
        max_relative_sigma=settings.filtered_max_relative_sigma,
        max_entropy=settings.filtered_max_entropy,
        classes=members(source.classes, settings.filtered_classes, 'filtered_classes')
        if settings.filtered_classes else None)
    at, lost = chosen.choose(depth, camera.rays(), variance=prediction.depth_variance,
                             entropy=prediction.segmentation_entropy, label=prediction.label)
    source.check_filtered(lost)
    if not len(at):
        raise WithheldError('no point passes the filters, and a cloud without points looks like a '
                            'free way')
    return to_sparse_cloud(at, depth, source.shown, source.header, camera)
