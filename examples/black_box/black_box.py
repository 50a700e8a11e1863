#!/usr/bin/env python3
# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Keep what confused the robot: a raised or silent risk flag calls a recorder's snapshot service.

    python3 examples/black_box/black_box.py --ros-args -r risk:=/emu/risk

``ros2 bag record --snapshot-mode`` holds the last seconds in memory and writes them when asked;
black_box.launch.py starts both. It needs ROS 2 alone, not emu_perception, and lives in a process
of its own, so that it outlives what it watches. Parameters: ``after_s`` (2.0: what follows the
raise is kept too), ``at_most_every_s`` (60.0: a flag that flaps must not fill the disk).
"""

import sys
import time

from rcl_interfaces.msg import ParameterDescriptor
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool

SILENCE_S = 1.0  # of the flag, which comes every 0.25 s; README's contract
PERIOD_S = 0.1


class BlackBox(Node):
    """Asks for one snapshot a raise, and for no more than one in a while."""

    def __init__(self, service_type, **options):
        """Listen to ``risk``; a flag that was never lowered is no raise."""
        super().__init__('black_box', **options)
        self._after_s = self._seconds('after_s', 2.0)
        self._at_most_every_s = self._seconds('at_most_every_s', 60.0)
        for name in getattr(self, '_parameter_overrides', {}):  # ROS drops a misspelt one, unsaid
            if not self.has_parameter(name):
                self.get_logger().error(f"parameter '{name}' was set, and is none of this node's")
        self._lowered_s = None  # when the last lowered flag came; None: it is raised
        self._due_s = None  # when the snapshot of a raise is to be taken
        self._taken_s = None
        self._client = self.create_client(service_type, 'rosbag2_recorder/snapshot')
        self._request = service_type.Request
        self.create_subscription(Bool, 'risk', self._on_flag, 10)
        # Steady: the clock of ROS may stand still or jump, and silence is to be noticed.
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _seconds(self, name, default):
        # Dynamic: 2 is a whole number to ROS, and seconds all the same.
        value = self.declare_parameter(
            name, default, ParameterDescriptor(dynamic_typing=True)).value
        if type(value) not in (int, float) or not 0 <= value < float('inf'):
            raise ValueError(f'parameter {name} is {value!r}: give a number of seconds from 0 on')
        return float(value)

    def _on_flag(self, flag):
        if not flag.data:
            self._lowered_s = time.monotonic()
        elif self._lowered_s is not None:
            self._raised('the risk flag was raised')

    def _on_timer(self):
        now_s = time.monotonic()
        if self._lowered_s is not None and now_s - self._lowered_s > SILENCE_S:
            self._raised('the risk flag is silent')
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._snapshot(now_s)

    def _raised(self, why):
        self._lowered_s = None
        now_s = time.monotonic()
        if self._due_s is not None:
            return  # this raise is in the snapshot that is due
        if self._taken_s is not None and now_s - self._taken_s < self._at_most_every_s:
            self.get_logger().info(f'{why}: no snapshot, the last was '
                                   f'{now_s - self._taken_s:.0f} s ago')
            return
        self.get_logger().warning(f'{why}: a snapshot in {self._after_s:g} s')
        self._due_s = now_s + self._after_s

    def _snapshot(self, now_s):
        if not self._client.service_is_ready():
            self.get_logger().error(f'no {self._client.srv_name}: run ros2 bag record '
                                    '--snapshot-mode; nothing is kept')
            return
        self._taken_s = now_s
        self._client.call_async(self._request()).add_done_callback(self._on_answer)

    def _on_answer(self, future):
        if future.exception() is None and future.result().success:
            self.get_logger().info('the snapshot is written')
            return
        self._taken_s = None  # The next raise is not to be lost for what was not written.
        self.get_logger().error('the recorder wrote nothing')


def main():
    """Run until a signal comes; return 1 where rosbag2 has no snapshots, or of a parameter."""
    try:
        from rosbag2_interfaces.srv import Snapshot
    except ImportError as error:
        print(f'black_box.py: rosbag2 has no snapshot service here ({error}): install '
              'ros-<distro>-rosbag2 of Humble or later', file=sys.stderr)
        return 1
    rclpy.init()
    try:
        node = BlackBox(Snapshot)
    except ValueError as error:
        print(f'black_box.py: {error}', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    try:
        while rclpy.ok():
            try:
                rclpy.spin(node)
            except ExternalShutdownException:
                break
            except Exception as error:  # whatever it is: the next raise is to be kept
                node.get_logger().error(f'goes on after {type(error).__name__}: {error}')
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
