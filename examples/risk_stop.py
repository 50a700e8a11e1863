#!/usr/bin/env python3
# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Stop a robot on risk: zero velocity while the flag is up, or after a second without one.

    python3 examples/risk_stop.py --ros-args -r risk:=/emu/risk -r cmd_vel:=/cmd_vel_risk

Give cmd_vel to twist_mux as the input of the highest priority (timeout 0.2 s): while there is no
risk nothing is published, and the others drive. It needs ROS 2 alone, not emu_perception, and
should run in another process than what it watches, on the robot's own computer.
"""

import time

from geometry_msgs.msg import Twist
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool

SILENCE_S = 1.0  # of the flag, which comes every 0.25 s; README's contract
PERIOD_S = 0.05


class RiskStop(Node):
    """Publishes zero velocity while nobody vouches for the camera."""

    def __init__(self):
        super().__init__('risk_stop')
        self._lowered_s = None  # when the last lowered flag came; None: it is raised, or none came
        self._stopping = None
        self._cmd_vel = self.create_publisher(Twist, 'cmd_vel', 1)
        self.create_subscription(Bool, 'risk', self._on_flag, 1)
        # Steady: the clock of ROS may stand still (use_sim_time) or jump, and silence is told by
        # this process's own timer, not by events of the middleware that may never come.
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_flag(self, flag):
        self._lowered_s = None if flag.data else time.monotonic()
        if flag.data:
            self._on_timer()  # at once

    def _on_timer(self):
        silent = self._lowered_s is None or time.monotonic() - self._lowered_s > SILENCE_S
        if silent:
            self._cmd_vel.publish(Twist())
        if silent != self._stopping:
            self._stopping = silent
            self.get_logger().warning('STOP: risk, or no flag' if silent else 'go: no risk')


def main():
    """Run until a signal comes."""
    rclpy.init()
    node = RiskStop()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
