# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_benchmark --node``: hands over to the program of the robot's layer."""

from __future__ import annotations

from importlib.util import find_spec
import os
import sys

# Run, not imported: the core knows nothing of ROS.
PROGRAM = 'emu_perception.ros.benchmark.command'


def benchmark_node(arguments: list[str]) -> int:
    """
    Run it with the rest of the command line; return its exit code.

    Without ROS 2 that is 1, with one line that says so.
    """
    if find_spec('rclpy') is None:
        print('error: --node needs ROS 2, and this Python has no rclpy: source '
              '/opt/ros/DISTRIBUTION/setup.bash', file=sys.stderr)
        return 1
    sys.stdout.flush()
    # In this process's place: who ends this command ends that program, which ends its node.
    os.execv(sys.executable, [sys.executable, '-m', PROGRAM, *arguments])
