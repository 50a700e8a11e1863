# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera in front of a node and the subscribers behind it; both see it die and come back."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from importlib import import_module
import subprocess
import time

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.ros.image_messages import to_bytes
from node_bench import camera_info
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image

from .samples import processor_s

CAMERA_AWAY_S = 3.0  # longer than the node's stale_after_s: the flag goes up
RECOVERY_TIMEOUT_S = 30.0


class Surroundings:
    """The camera in front of the node and the subscribers behind it."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Prepare images of a moving scene, so that no two are the same."""
        self.node = rclpy.create_node('soak')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.counts: Counter[str] = Counter()
        self.diagnostics: dict[str, str] = {}
        self.sent = 0
        self.recoveries_s: list[float | None] = []
        self.node_restarts_s: list[float | None] = []
        self.restart_processor_s: list[float] = []
        self._period_s, self._kinds = 1.0 / options.rate, (Image, CameraInfo)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        width, height = options.size
        scene = photograph(width + 64, height)
        self._messages = []
        for shift in range(0, 64, 2):
            view = np.ascontiguousarray(scene[:, shift:shift + width])
            image = Image(width=width, height=height, encoding='rgb8', step=3 * width,
                          data=to_bytes(view))
            image.header.frame_id = 'camera_optical_frame'
            self._messages.append(image)
        self._camera_info = camera_info(width, height, fx=0.8 * width)
        self._open_camera()

    def _open_camera(self) -> None:
        self._image, self._info = (
            self.node.create_publisher(kind, topic, 1)
            for kind, topic in zip(self._kinds, ('image', 'camera_info')))
        self._timer = self.node.create_timer(self._period_s, self._send)

    def restart_camera(self, name: str) -> None:
        """Take the camera away and bring it back; keep how long its first labels took."""
        self.node.destroy_timer(self._timer)
        for publisher in (self._image, self._info):
            self.node.destroy_publisher(publisher)
        self.spin(CAMERA_AWAY_S)
        self.recoveries_s.append(self._until_labels(name, self._open_camera))

    def restart_node(self, name: str, process: subprocess.Popen[bytes],
                     start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Kill the node, start another; keep what its first labels took from its start."""
        process.kill()
        process.wait()
        self.spin(0.5)  # what it had sent has arrived
        started = []
        self.node_restarts_s.append(self._until_labels(name, lambda: started.append(start())))
        self.restart_processor_s.append(processor_s(started[0].pid))
        return started[0]

    def _until_labels(self, name: str, begins: Callable[[], None]) -> float | None:
        """Return the seconds until labels come; None where none came."""
        before, begin = self.counts[f'/{name}/label'], time.monotonic()
        begins()
        while self.counts[f'/{name}/label'] == before:
            self.spin(0.05)
            if time.monotonic() - begin > RECOVERY_TIMEOUT_S:
                return None
        return round(time.monotonic() - begin, 2)

    def listen_to_everything(self, name: str) -> list[str]:
        """Subscribe to all topics of the node; raw, because only the node is to be busy."""
        topics = []
        for topic, (kind, *_) in self.node.get_publisher_names_and_types_by_node(name, '/'):
            if topic.startswith(f'/{name}/') and 'transition_event' not in topic:
                package, _, message = kind.split('/')
                self.node.create_subscription(
                    getattr(import_module(f'{package}.msg'), message), topic,
                    lambda _, topic=topic: self.counts.update([topic]), 1, raw=True)
                topics.append(topic)
        return topics

    def spin(self, seconds: float) -> None:
        """Send and listen for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def _send(self) -> None:
        image = self._messages[self.sent % len(self._messages)]
        image.header.stamp = self.node.get_clock().now().to_msg()
        self._camera_info.header = image.header
        self._info.publish(self._camera_info)
        self._image.publish(image)
        self.sent += 1

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        for status in array.status:
            self.diagnostics.update({pair.key: pair.value for pair in status.values})


def photograph(width: int, height: int) -> np.ndarray:
    """Return a real room, rgb uint8, or noise where scikit-image is not installed."""
    try:
        from skimage import data
        picture = data.stereo_motorcycle()[0]
    except Exception:
        picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    return cv2.resize(np.ascontiguousarray(picture[..., :3]), (width, height))
