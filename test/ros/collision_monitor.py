# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for Nav2's collision monitor: its rules about sources that fall silent, no more."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool

STOP_WITHIN_M = 0.5


class CollisionMonitor:
    """
    Decides on each command as ``nav2_collision_monitor`` does.

    Jazzy and later: a source whose newest header.stamp is older than ``source_timeout`` stops the
    robot. Humble: such a source is left out, and the robot drives on; there ~/risk has to stop it,
    here as a second source.

    :ivar clouds: stamps of the clouds that came, seconds.
    """

    def __init__(self, rules: str, source_timeout_s: float) -> None:
        """Listen to /emu/points and, with Humble's rules, to /emu/risk."""
        assert rules in ('jazzy', 'humble')
        self._rules, self._timeout_s = rules, source_timeout_s
        self.node = rclpy.create_node('collision_monitor')
        self.clouds: list[float] = []
        self._nearest_m, self._risk = np.inf, True
        self.node.create_subscription(PointCloud2, '/emu/points', self._on_cloud,
                                      qos_profile_sensor_data)
        if rules == 'humble':
            self.node.create_subscription(Bool, '/emu/risk', self._on_risk, 1)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def drives(self) -> bool:
        """Answer a cmd_vel that comes now."""
        now_s = self.node.get_clock().now().nanoseconds / 1e9
        valid = bool(self.clouds) and now_s - self.clouds[-1] <= self._timeout_s
        if not valid and self._rules == 'jazzy':
            return False
        if self._rules == 'humble' and self._risk:
            return False
        return not (valid and self._nearest_m < STOP_WITHIN_M)

    def close(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(10.0)
        self.node.destroy_node()

    def _on_cloud(self, cloud: Any) -> None:
        # NaN is left out, as by Nav2: a cloud of nothing else counts as a free way.
        z = np.frombuffer(bytes(cloud.data), np.float32).reshape(-1, cloud.point_step // 4)[:, 2]
        self._nearest_m = float(np.nanmin(z, initial=np.inf))
        self.clouds.append(cloud.header.stamp.sec + cloud.header.stamp.nanosec / 1e9)

    def _on_risk(self, flag: Bool) -> None:
        self._risk = flag.data

    def _spin(self) -> None:
        executor = rclpy.executors.SingleThreadedExecutor()
        executor.add_node(self.node)
        while not self._ending.is_set():
            executor.spin_once(timeout_sec=0.02)
        executor.remove_node(self.node)
