# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``~/scan``: the obstacles within a band of heights as a laser scanner would tell them."""

from __future__ import annotations

import math

from emu_perception.planning.scanning import scan
from emu_perception.ros.planner.source import NotAskedForError, PlannerSource
import numpy as np
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header


def build(source: PlannerSource) -> LaserScan:
    """
    Return the scan in ``scan_frame``, with the image's stamp.

    :raises NotAskedForError: where that or the camera's height is not set.
    :raises WithheldError: where the depth of too many pixels, in all or in one direction, is not
        known.
    """
    settings, mounting = source.settings, source.mounting
    if not settings.scan_frame or mounting is None:
        raise NotAskedForError('set scan_frame and scan_camera_height_m')
    near, camera = source.metres()
    source.check_unknown()
    found = scan(source.measured(), ~source.ground, camera, mounting,
                 heights_m=(settings.scan_min_height_m, settings.scan_max_height_m),
                 increment_rad=math.radians(settings.scan_increment_deg), nearest=near)
    source.check_known(found.blind, 'in one direction ')
    # A consumer drops what is not below range_max. The network's range is not that of this camera
    # where another focal length scales its metres, nor of a depth camera that is joined in.
    reach = source.depth_max if math.isfinite(source.depth_max) else 1000.0
    right, down = camera.rays()
    longest = math.hypot(1.0, float(abs(right).max()), float(abs(down).max()))
    farthest = float(np.fmax.reduce(found.ranges, initial=0.0))
    message = LaserScan(
        header=Header(stamp=source.header.stamp, frame_id=settings.scan_frame),
        angle_min=found.angle_min, angle_max=found.angle_max,
        angle_increment=found.angle_increment, range_min=0.0,
        range_max=max(reach * longest, 1.001 * farthest))
    message.ranges = found.ranges.tolist()
    return message
