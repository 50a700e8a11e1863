# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_benchmark --node``: hands over to the program of the robot's layer."""

from __future__ import annotations

from importlib.util import find_spec
import signal
import subprocess
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
    child = subprocess.Popen([sys.executable, '-m', PROGRAM, *arguments])
    # The program has started a node, which it ends when it is told to end itself.
    before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        return child.wait()
    except KeyboardInterrupt:  # it has had the same Ctrl-C and says so
        child.wait()
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
