#!/usr/bin/env python3
# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Stop a robot on risk: zero velocity while the flag is up, or after a second without one.

    python3 examples/risk_stop.py --ros-args -r risk:=/emu/risk -r cmd_vel:=/cmd_vel_risk

Give cmd_vel to twist_mux as the input of the highest priority (timeout 0.2 s): while there is no
risk nothing is published, and the others drive. Where the robot's commands are TwistStamped (Nav2
from Kilted on, twist_mux with ``use_stamped: true``) add ``-p stamped:=true``: ROS connects no two
types, and a Twist would stop nothing; an error says so where that is seen. One for each camera,
which may all send to one cmd_vel; two who send one flag are a fault, and stop it. It needs ROS 2
alone, not emu_perception, and should run in another process than what it watches, on the robot's
own computer.
"""

import sys
import time

from geometry_msgs.msg import Twist, TwistStamped
from rcl_interfaces.msg import ParameterDescriptor
import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import Bool

SILENCE_S = 1.0  # of the flag, which comes every 0.25 s; README's contract
PERIOD_S = 0.05
LOOK_S = 1.0  # between two looks at who listens


class RiskStop(Node):
    """Publishes zero velocity while nobody vouches for the camera."""

    def __init__(self):
        super().__init__('risk_stop')
        self._lowered_s = None  # when the last lowered flag came; None: it is raised, or none came
        self._stopping = None
        stamped = self.declare_parameter(
            'stamped', False, ParameterDescriptor(dynamic_typing=True)).value
        if not isinstance(stamped, bool):
            raise ValueError(f'parameter stamped is {stamped!r}: give true or false')
        self._kind = TwistStamped if stamped else Twist
        self._cmd_vel = self.create_publisher(self._kind, 'cmd_vel', 1)
        for name in getattr(self, '_parameter_overrides', {}):  # ROS drops a misspelt one, unsaid
            if not self.has_parameter(name):
                self.get_logger().error(f"parameter '{name}' was set, and is none of this node's")
        self._deaf = set()  # types of listeners that hear nothing of this, as they were said
        self._heard = True  # whether anybody listens, as it was said
        self._raised_s = float('-inf')  # when the last raised flag came
        self._names = set()  # of who send the flag, as they were said
        # Of a depth of 1 a raised flag is lost where another sender's lowered one follows at once.
        self._risk = self.create_subscription(Bool, 'risk', self._on_flag, 10)
        # Steady: the clock of ROS may stand still (use_sim_time) or jump, and silence is told by
        # this process's own timer, not by events of the middleware that may never come.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(PERIOD_S, self._on_timer, clock=steady)
        self.create_timer(LOOK_S, self._look, clock=steady)

    def _on_flag(self, flag):
        now_s = time.monotonic()
        if flag.data:
            self._raised_s, self._lowered_s = now_s, None
            self._on_timer()  # at once, whatever comes of the rest
        senders = self.get_publishers_info_by_topic(self._risk.topic_name)
        names = {f'{one.node_namespace.rstrip("/")}/{one.node_name}' for one in senders}
        # Of two who send it one lowers what the other raises, and the robot would go in between.
        # Two of one name are mostly one that was killed, seen for a while yet, and its successor.
        doubted = len(names) > 1 or len(senders) > 1 and now_s - self._raised_s <= SILENCE_S
        if len(names) > 1 and names != self._names:
            self.get_logger().error(f'{", ".join(sorted(names))} send {self._risk.topic_name}, '
                                    'and each lowers what the others raise: give each camera a '
                                    'flag and a risk_stop of its own; stopped')
        self._names = names
        if not flag.data:
            self._lowered_s = None if doubted else now_s
            if doubted:
                self._on_timer()

    def _on_timer(self):
        silent = self._lowered_s is None or time.monotonic() - self._lowered_s > SILENCE_S
        if silent:
            self._cmd_vel.publish(self._zero())
        if silent != self._stopping:
            self._stopping = silent
            self.get_logger().warning('STOP: risk, or no flag' if silent else 'go: no risk')

    def _zero(self):
        command = self._kind()
        if self._kind is TwistStamped:
            command.header.stamp = self.get_clock().now().to_msg()
        return command

    def _look(self):
        own, topic = f'geometry_msgs/msg/{self._kind.__name__}', self._cmd_vel.topic_name
        deaf = {info.topic_type for info in self.get_subscriptions_info_by_topic(topic)} - {own}
        for other in sorted(deaf - self._deaf):
            self.get_logger().error(f'{topic} is read as {other}, but this sends {own}: it stops '
                                    'nothing there; set the parameter stamped')
        self._deaf = deaf
        heard = bool(self.count_subscribers(topic))
        if self._heard and not heard:
            self.get_logger().warning(f'nobody reads {topic}: nothing is stopped; is twist_mux '
                                      'there, and is cmd_vel remapped to what it reads?')
        self._heard = heard


def main():
    """Run until a signal comes; return 1 where a parameter cannot be used."""
    rclpy.init()
    try:
        node = RiskStop()
    except ValueError as error:
        print(f'risk_stop.py: {error}; NOTHING is stopped', file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    try:
        while rclpy.ok():
            try:
                rclpy.spin(node)
            except ExternalShutdownException:
                break
            except Exception as error:  # whatever it is: without this the others would drive on
                node.get_logger().error(f'goes on after {type(error).__name__}: {error}')
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
