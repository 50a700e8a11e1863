# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's two inputs while it is active, and the images that never reached it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any

from emu_perception.ros.camera_source import CameraSource
from emu_perception.ros.depth_hints import DepthHints
from emu_perception.ros.loss_watch import LossCounter, LossWatch
from emu_perception.ros.qos import latched, newest, with_overrides
from emu_perception.ros.silence import compressed_advice, explain_silence, sender_name
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

# Humble's callbacks get the message alone.
_HAS_MESSAGE_INFO = hasattr(Subscription, 'CallbackType')


class Subscriptions:
    """
    The image and its camera_info; for the executor's thread.

    Of camera_info there are two. Best effort and volatile gets what is sent from now on, by
    publishers of any kind. What a latched publisher has sent before is got by a reliable,
    transient-local one alone; that one is there only while such a publisher is, since every
    volatile publisher would log it as incompatible.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to nothing yet."""
        self._node = node
        self._active: list[Any] = []
        self._latched_info: Any = None
        self._ask_again = False  # Those who latch.
        self._camera: CameraSource | None = None
        self._losses = LossCounter()
        self._image_type: type = Image
        self._image_qos = newest()
        self._image_topic = ''
        self._topics: tuple[str, ...] = ()
        self._watch, self._received, self._image_bytes = LossWatch(), 0, 0

    @property
    def lost(self) -> int | None:
        """Return how many images never reached the node; None where that is not known."""
        return self._losses.lost

    def start(self, camera: CameraSource, transport: str,
              on_image: Callable[[Image | CompressedImage, bool], None],
              hints: DepthHints | None = None) -> None:
        """
        Subscribe. Whatever rclpy raises is passed on; what was made is :meth:`stop`'s.

        :param on_image: called with an image, and whether it is of another publisher than the one
            before, both being there.
        :param hints: of a depth camera that is joined in; None = none is.
        """
        self._image_type = CompressedImage if transport == 'compressed' else Image
        self._image_qos, self._image_topic = newest(), camera.image_topic
        self._losses.begin()
        self._watch.begin()
        self._camera = camera
        self._topics = (camera.image_topic, camera.camera_info_topic,
                        *((hints.topic,) if hints else ()))
        subscribe, options = self._node.create_subscription, with_overrides
        self._active.append(subscribe(
            CameraInfo, 'camera_info', lambda info: self._take(camera, info, time.monotonic()),
            newest(), **options()))
        self.look_for_latched()
        if hints is not None:
            hints.begin()
            self._active.append(subscribe(
                Image, 'depth_hint', self._told(hints.topic, LossCounter(), hints.update),
                newest(), **options()))

        def received(message: Image | CompressedImage, other_sender: bool) -> None:
            self._received, self._image_bytes = self._received + 1, len(message.data)
            on_image(message, other_sender)
        self._active.append(subscribe(
            self._image_type, self._image_topic,
            self._told(self._image_topic, self._losses, received), self._image_qos, **options()))

    def _told(self, topic: str, losses: LossCounter, on_message: Callable[[Any, bool], None]
              ) -> Any:
        """Return the callback of a topic: ``on_message`` is told of another publisher's too."""
        def with_info(message: Any, info: Mapping[str, Any]) -> None:
            on_message(message, losses.note(info, lambda: self._node.count_publishers(topic) > 1))

        def without(message: Any) -> None:
            on_message(message, False)
        return with_info if _HAS_MESSAGE_INFO else without

    def look_for_latched(self) -> None:
        """Subscribe to a latched camera_info while somebody publishes one; to be called often."""
        camera = self._camera
        if camera is None:
            return
        there = self._count_senders(camera)
        if self._latched_info is not None and (self._ask_again or not there):
            self._node.destroy_subscription(self._latched_info)
            self._latched_info = None
        if there and self._latched_info is None:
            self._ask_again = False
            # One of each publisher: of two, the one that comes last says nothing of the other.
            self._latched_info = self._node.create_subscription(
                CameraInfo, 'camera_info', lambda info: self._take(camera, info),
                latched(depth=16))

    def _count_senders(self, camera: CameraSource) -> int:
        """Tell who publishes camera_info now; returns how many latch it."""
        senders = self._node.get_publishers_info_by_topic(camera.camera_info_topic)
        there = sum(
            publisher.qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL
            and publisher.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE
            for publisher in senders)
        if camera.note_senders(there, len(senders) - there):
            self._ask_again = True
        return there

    def _take(self, camera: CameraSource, info: CameraInfo, arrived_s: float | None = None
              ) -> None:
        # Before it counts, not at the next look: until then the newest would be a second camera's.
        if camera.is_new(info):
            self._count_senders(camera)
        if not (self._ask_again and arrived_s is None):  # It comes once more.
            camera.update(info, arrived_s)

    def stop(self) -> None:
        """Unsubscribe."""
        self._camera = None
        if self._latched_info is not None:
            self._active.append(self._latched_info)
            self._latched_info = None
        for subscription in self._active:
            self._node.destroy_subscription(subscription)
        self._active = []

    def explain_losses(self, now_s: float) -> str:
        """Say in one line that many of the last images were lost; '' where not. Called often."""
        self._watch.note(now_s, self._received, self._losses.lost)
        return self._watch.problem(self._image_topic, self._image_bytes,
                                   get_rmw_implementation_identifier())

    def explain_several(self) -> str:
        """Say in one line on which topics several nodes send; '' where there is none."""
        found = []
        for topic in self._topics:
            names = {sender_name(sender)
                     for sender in self._node.get_publishers_info_by_topic(topic)}
            if len(names) > 1:
                found.append(f'{", ".join(sorted(names))} all send {topic}: where they are two '
                             'cameras give each a topic and a node of its own')
        return '; '.join(found)

    @property
    def advice(self) -> str:
        """Return what is wrong with the image's topic itself, whoever publishes; '' if nothing."""
        return compressed_advice(self._image_topic, self._type_name)

    def explain_silence(self) -> str:
        """Say in one line why no image may come."""
        return explain_silence(self._node, self._image_topic, self._type_name, self._image_qos)

    def explain_no_info(self, topic: str) -> str:
        """Say in one line why no camera_info may come."""
        return explain_silence(self._node, topic, 'sensor_msgs/msg/CameraInfo', newest(),
                               'camera_info')

    def explain_no_hint(self, topic: str) -> str:
        """Say in one line why no depth hint may come."""
        return explain_silence(self._node, topic, 'sensor_msgs/msg/Image', newest(), 'depth_hint')

    @property
    def _type_name(self) -> str:
        return f'sensor_msgs/msg/{self._image_type.__name__}'
