# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's ears: steps the replay camera and collects the node's answer to each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

Stamp = tuple[int, int]
MAPS = ('label', 'overlay', 'depth/image', 'depth_uncertainty', 'segmentation_uncertainty_color',
        'depth_uncertainty_color')
_TYPES: dict[str, Any] = {'rgb8': (np.uint8, 3), 'mono8': (np.uint8, 1), '32FC1': (np.float32, 1)}


@dataclass
class Answer:
    """
    All that came for one image.

    :ivar name: its file.
    :ivar pixels: by topic, the message as an array: 'image' and the maps.
    :ivar status: key and value of the risk status.
    :ivar latency_s: from the image's stamp to the receipt of its last map; None = unanswered.
    :ivar wait_s: from the request of the image to the same moment.
    """

    name: str
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    latency_s: float | None = None
    wait_s: float = 0.0

    def figure(self, key: str) -> float | None:
        """Return a number of the risk status, None where there is none."""
        try:
            return float(self.status[key])
        except (KeyError, ValueError):
            return None


class Listener(Node):
    """Subscribes to the image and to what the node (named ``emu``) makes of it."""

    def __init__(self, *, compressed: bool = False) -> None:
        """
        Subscribe; the replay camera is to be started in steps.

        :param compressed: listen to image/compressed.
        """
        super().__init__('emu_demo')
        self._messages: dict[Stamp, dict[str, Any]] = {}
        self._received_s: dict[Stamp, float] = {}
        self.risk_changes: list[tuple[float, bool]] = []
        self._step = self.create_client(Trigger, '/replay_camera/step')
        qos = QoSProfile(depth=10)
        self._image_topic = '/image/compressed' if compressed else '/image'
        self._listen(CompressedImage if compressed else Image, self._image_topic, 'image', qos)
        for name in MAPS:
            self._listen(Image, f'/emu/{name}', name, qos)
        self._listen(DiagnosticArray, '/emu/risk_status', 'risk_status', qos)
        self.create_subscription(Bool, '/emu/risk', self._on_risk, QoSProfile(
            depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def wait_until_ready(self, timeout_s: float, check: Callable[[], None]) -> None:
        """
        Wait until the node is active and everything is connected.

        :param check: called now and then; raises where waiting has become pointless.
        :raises TimeoutError: after ``timeout_s``.
        """
        end_s = time.monotonic() + timeout_s
        while not (self.count_subscribers(self._image_topic) >= 2
                   and self._step.service_is_ready()):
            check()
            if time.monotonic() > end_s:
                raise TimeoutError(f'the node was not active after {timeout_s:.0f} s')
            rclpy.spin_once(self, timeout_sec=0.1)
        # The graph is known before the data connections stand.
        settled_s = time.monotonic() + 1.0
        while time.monotonic() < settled_s:
            rclpy.spin_once(self, timeout_sec=0.1)

    def ask(self, timeout_s: float) -> Answer | None:
        """Have one image published and wait for all that comes of it; None at the end."""
        begin_s = time.monotonic()
        request = self._step.call_async(Trigger.Request())
        while not request.done():
            if time.monotonic() - begin_s > timeout_s:
                raise TimeoutError(f'the replay camera did not answer in {timeout_s:.0f} s')
            rclpy.spin_once(self, timeout_sec=0.1)
        response = request.result()
        if response is None or not response.success:
            return None
        name, _, stamp_text = response.message.rpartition(' ')
        seconds, nanoseconds = (int(part) for part in stamp_text.split('.'))
        stamp = (seconds, nanoseconds)
        # A checkpoint of a single task has fewer topics.
        wanted = {'image', 'risk_status'} | {
            topic for topic in MAPS if self.count_publishers(f'/emu/{topic}')}
        while (not wanted <= self._messages.get(stamp, {}).keys()
               and time.monotonic() - begin_s < timeout_s):
            rclpy.spin_once(self, timeout_sec=0.1)
        messages = self._messages.pop(stamp, {})
        answer = Answer(name, wait_s=time.monotonic() - begin_s)
        if wanted <= messages.keys():
            answer.latency_s = self._received_s[stamp] - (seconds + nanoseconds * 1e-9)
        status = messages.pop('risk_status', None)
        if status is not None:
            answer.status = {item.key: item.value for item in status.status[0].values}
        answer.pixels = {topic: to_array(message) for topic, message in messages.items()}
        self._messages.clear()
        self._received_s.clear()
        return answer

    def _listen(self, kind: Any, topic: str, name: str, qos: QoSProfile) -> None:
        def receive(message: Any) -> None:
            stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
            known = self._messages.setdefault(stamp, {})
            # The status is repeated under the last image's stamp: the first is the image's own.
            if name not in known:
                known[name] = message
                self._received_s[stamp] = time.time()
        self.create_subscription(kind, topic, receive, qos)

    def _on_risk(self, message: Bool) -> None:
        if not self.risk_changes or self.risk_changes[-1][1] != message.data:
            self.risk_changes.append((time.time(), message.data))


def to_array(message: Image | CompressedImage) -> np.ndarray:
    """Return the pixels of an image as these processes send it: HxW, or rgb HxWx3."""
    if isinstance(message, CompressedImage):
        jpeg = np.frombuffer(bytes(message.data), np.uint8)
        bgr = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert bgr is not None, 'the replay camera sends whole JPEG images'
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    kind, channels = _TYPES[message.encoding]
    rows = np.frombuffer(bytes(message.data), np.uint8).reshape(message.height, message.step)
    row_bytes = message.width * channels * np.dtype(kind).itemsize
    pixels = rows[:, :row_bytes].copy().view(kind)
    return pixels if channels == 1 else pixels.reshape(message.height, message.width, channels)
