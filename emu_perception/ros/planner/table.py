# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Who makes the message of each topic for planners; ``emu_perception.topics`` has the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emu_perception.ros.planner import filtered, ground, mask, obstacles, scan
from emu_perception.ros.planner.source import PlannerSource

BUILDERS: dict[str, Callable[[PlannerSource], Any]] = {
    'mask': mask.build, 'scan': scan.build, 'points/filtered': filtered.build,
    'points/ground': ground.build, 'points/obstacles': obstacles.build}
