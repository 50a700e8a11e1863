# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera is on the robot, as the parameters say."""

from __future__ import annotations

import math

from emu_perception.planning.mounting import Mounting
from emu_perception.ros.planner.settings import PlannerSettings


def mounting_of(settings: PlannerSettings) -> Mounting | None:
    """Return where the camera is on the robot; None: the parameters do not say."""
    if not settings.scan_camera_height_m > 0:
        return None
    return Mounting(settings.scan_camera_height_m, math.radians(settings.scan_camera_pitch_deg))
