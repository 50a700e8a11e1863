# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera in front of the node under test and the subscribers behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.benchmarking.made_image import made_image
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.errors import EmuError
from emu_perception.ros.benchmark.figures import Record, stamp_of
from emu_perception.ros.benchmark.node_process import NodeProcess
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_image
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float32, Header

NODE = 'emu'
# What the node's medians are taken over; figures of a run must not hold those of the last one.
_WINDOW_S = 5.0
_WARM_UP_S = 1.0
_IN_FLIGHT = 2
_STUCK_S = 0.5
_LAST_MAPS_S = 0.5
_MAPS: dict[str, Any] = {'sensor_msgs/msg/Image': Image, 'sensor_msgs/msg/CameraInfo': CameraInfo,
                         'sensor_msgs/msg/PointCloud2': PointCloud2}


class Camera:
    """Sends a made image at a rate and notes when its maps come; all on the caller's thread."""

    def __init__(self, node_process: NodeProcess, size: tuple[int, int]) -> None:
        """
        Prepare the image.

        :param size: (height, width) in pixels.
        """
        self._process = node_process
        self._node = rclpy.create_node('emu_benchmark')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        header, (height, width) = Header(frame_id='camera_optical_frame'), size
        self._image = to_image(made_image(height, width), 'rgb8', header)
        self._info = to_camera_info(pinhole_info(width, height, 0.8 * width), header)
        self._image_publisher = self._node.create_publisher(Image, 'image', 1)
        self._info_publisher = self._node.create_publisher(CameraInfo, 'camera_info', 1)
        self.values: dict[str, str] = {}
        self._diagnoses = 0
        self._problem = ''
        self._inferred = 0
        self._subscriptions: list[Any] = []
        self._record = Record()
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        for task in ('segmentation', 'depth'):
            self._node.create_subscription(Float32, f'/{NODE}/mean_{task}_uncertainty',
                                           partial(self._on_mean, task), 10)
        self._first_task = ''

    def close(self) -> None:
        """End the subscribers."""
        self._executor.shutdown()
        self._node.destroy_node()

    def wait_until_active(self, timeout_s: float) -> None:
        """
        Wait for the node.

        :raises EmuError: if it ends, cannot be configured, or takes longer.
        """
        def ready() -> bool:
            if self._problem:
                raise EmuError(f'the node cannot start: {self._problem}')
            return (self.values.get('state') == 'active'
                    and self._node.count_subscribers('image') > 0)
        self._until(ready, timeout_s, 'the node was not active')

    def topics(self) -> list[str]:
        """Return the names of the node's maps, without those of its own namespace."""
        prefix = f'/{NODE}/'
        found = self._node.get_publisher_names_and_types_by_node(NODE, '/')
        return [name.removeprefix(prefix) for name, kinds in found
                if name.startswith(prefix) and kinds[0] in _MAPS]

    def listen(self, topics: Collection[str], patience_s: float = 60.0) -> None:
        """
        Subscribe to these maps alone, and wait until one image has come back in all of them.

        :raises EmuError: if the node has no such topic or does not answer in this time.
        """
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        kinds = dict(self._node.get_publisher_names_and_types_by_node(NODE, '/'))
        self._subscriptions = []
        for topic in topics:
            kind = kinds.get(f'/{NODE}/{topic}', [''])[0]
            if kind not in _MAPS:
                raise EmuError(f"--topics names '{topic}', which this model's node does not have: "
                               f'give some of {", ".join(self.topics())}')
            # Raw: not the listener is to be measured.
            self._subscriptions.append(self._node.create_subscription(
                _MAPS[kind], f'/{NODE}/{topic}',
                partial(self._on_map, topic), 5, raw=True))
        self._record = Record()
        sent_s = 0.0

        def answered() -> bool:
            nonlocal sent_s
            if time.monotonic() - sent_s > 1.0:  # the first of a model may take seconds
                self._send()
                sent_s = time.monotonic()
            return all(self._record.received_s.get(topic) for topic in topics)
        self._until(answered, patience_s, 'the node has not answered')

    def run(self, rate: float | None, seconds: float) -> Record:
        """
        Send for some seconds, after a second that does not count.

        :param rate: images a second; None: the next as soon as an earlier one is inferred.
        :raises EmuError: if the node ends.
        """
        self._spin(max(0.0, _WINDOW_S - _WARM_UP_S - seconds))
        self._send_for(_WARM_UP_S, rate)
        self._record = record = Record(before=self._settled_values())
        cpu_s, begun_s = self._process.cpu_s(), time.monotonic()
        self._send_for(seconds, rate)
        record.wall_s = time.monotonic() - begun_s
        record.cpu_s, record.rss_mb = self._process.cpu_s() - cpu_s, self._process.rss_mb()
        sent = dict(record.sent_s)
        record.values = self._settled_values()
        self._record = Record()
        record.sent_s = sent
        return record

    def _settled_values(self) -> dict[str, str]:
        """Return the diagnostics that hold all images sent so far."""
        self._spin(_LAST_MAPS_S)
        seen = self._diagnoses
        self._until(lambda: self._diagnoses > seen, 10.0, 'no diagnostics came')
        return dict(self.values)

    def _send_for(self, seconds: float, rate: float | None) -> None:
        end = following = time.monotonic()
        end += seconds
        outstanding, inferred, moved_s = 0, self._inferred, following
        while (now := time.monotonic()) < end:
            self._check()
            if rate is not None:
                if now >= following:
                    self._send()
                    # Not faster afterwards where this machine was too slow: it is no camera's way.
                    following = max(following + 1.0 / rate, now)
                self._executor.spin_once(timeout_sec=max(0.0, min(following, end)
                                                         - time.monotonic()))
                continue
            if self._inferred > inferred:
                outstanding = max(0, outstanding - (self._inferred - inferred))
                inferred, moved_s = self._inferred, now
            elif now - moved_s > _STUCK_S:  # best effort has lost one
                outstanding, moved_s = 0, now
            if outstanding < _IN_FLIGHT:
                self._send()
                outstanding += 1
            else:
                self._executor.spin_once(timeout_sec=min(0.05, end - now))

    def _send(self) -> None:
        stamp = self._node.get_clock().now().to_msg()
        self._image.header.stamp = self._info.header.stamp = stamp
        self._info_publisher.publish(self._info)
        self._record.sent_s[stamp.sec, stamp.nanosec] = time.monotonic()
        self._image_publisher.publish(self._image)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _until(self, condition: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            self._check()
            if time.monotonic() > end:
                raise EmuError(f'{complaint} within {timeout_s:.0f} s; its last words: '
                               f'{self._process.last_line()}')
            self._executor.spin_once(timeout_sec=0.1)

    def _check(self) -> None:
        if not self._process.running:
            raise EmuError(f'the node has ended: {self._process.last_line()}')

    def _on_map(self, topic: str, data: bytes) -> None:
        now_s = time.monotonic()
        self._record.received_s.setdefault(topic, {})[stamp_of(data)] = now_s

    def _on_mean(self, task: str, _: Float32) -> None:
        # Both tasks are told of each image: one of them counts.
        self._first_task = self._first_task or task
        self._inferred += task == self._first_task

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self._diagnoses += 1
        for status in array.status:
            self.values.update({pair.key: pair.value for pair in status.values})
            if status.name.endswith(': model'):
                self._problem = status.message if status.level == b'\x02' else ''
