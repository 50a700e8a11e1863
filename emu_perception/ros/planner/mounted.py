# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera is on the robot, as the parameters say."""

from __future__ import annotations

from emu_perception.planning.mounting import Mounting
from emu_perception.ros.planner.settings import PlannerSettings


def mounting_of(settings: PlannerSettings) -> Mounting | None:
    """Return where the camera is on the robot; None: the parameters do not say."""
    if not settings.scan_camera_height_m > 0:
        return None
    return Mounting.of(settings.scan_camera_height_m, settings.scan_camera_pitch_deg)


def silent_ground(settings: PlannerSettings) -> str:
    """Return in one line which parameters ground_scale lacks; '' where it has them."""
    given = {'scan_camera_height_m': mounting_of(settings),
             'ground_classes': settings.ground_classes}
    missing = ' and '.join(name for name, value in given.items() if not value)
    return missing and f'ground_scale is set, and {missing} is not: the ground tells no scale'
