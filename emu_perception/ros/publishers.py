# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The maps on their topics, each converted only while somebody listens to it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TYPE_CHECKING

from emu_perception.prediction import Prediction
from emu_perception.risk import RiskState
from emu_perception.ros.map_messages import Frame, MapMessages
from emu_perception.ros.parameters import Settings
from emu_perception.ros.qos import latched, reliable, with_overrides
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

if TYPE_CHECKING:
    from emu_perception.checkpoint import CheckpointMetadata

_TOPICS: dict[str, tuple[type, str | None]] = {  # topic: message type, task it needs
    'label': (Image, 'segmentation'),
    'camera_info': (CameraInfo, None),
    'depth/image': (Image, 'depth'),
    'depth/camera_info': (CameraInfo, 'depth'),
    'confidence': (Image, 'segmentation'),
    'instance': (Image, 'instance'),
    'segmentation_uncertainty': (Image, 'segmentation'),
    'depth_uncertainty': (Image, 'depth'),
    'points': (PointCloud2, 'depth'),
    'label_color': (Image, 'segmentation'),
    'overlay': (Image, None),
    'segmentation_uncertainty_color': (Image, 'segmentation'),
    'depth_uncertainty_color': (Image, 'depth'),
}
# What is withheld where the focal length is not known: metres then mean nothing, and a message of
# nothing but NaN would tell Nav2's collision monitor that the way is free.
WITH_METRES = tuple(name for name, (_, task) in _TOPICS.items() if task == 'depth')


class MapPublishers:
    """The publishers of a checkpoint's tasks."""

    def __init__(self, node: LifecycleNode, metadata: CheckpointMetadata) -> None:
        """Create the topics of the tasks the checkpoint has."""
        self._node = node
        self._metadata = metadata
        self._publishers: dict[str, Any] = {}
        for name, (kind, task) in _TOPICS.items():
            if task is None or task in metadata.tasks:
                self._publishers[name] = node.create_publisher(
                    kind, f'~/{name}', reliable(), **with_overrides())

    def showing(self, metadata: CheckpointMetadata) -> MapPublishers:
        """
        Return the same topics for another checkpoint of the same tasks.

        Subscribers notice nothing; an image of the old checkpoint still in work keeps its colours.
        """
        result = copy(self)
        result._metadata = metadata
        return result

    def publish_label_info(self) -> bool:
        """Publish the class names, latched; return False where vision_msgs is not installed."""
        try:
            from vision_msgs.msg import LabelInfo, VisionClass
        except ImportError:
            return False
        publisher = self._publishers.get('label_info')
        if publisher is None:
            publisher = self._publishers['label_info'] = self._node.create_publisher(
                LabelInfo, '~/label_info', latched(), **with_overrides())
        publisher.publish(LabelInfo(
            header=Header(stamp=self._node.get_clock().now().to_msg()), threshold=0.0,
            class_map=[VisionClass(class_id=index, class_name=name)
                       for index, name in enumerate(self._metadata.classes)]))
        return True

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}

    def wanted(self) -> bool:
        """Tell whether anybody listens to a map."""
        return any(publisher.get_subscription_count()
                   for name, publisher in list(self._publishers.items()) if name != 'label_info')

    def publish(self, frame: Frame, prediction: Prediction, risk: RiskState, settings: Settings,
                is_current: Callable[[], bool]) -> bool:
        """
        Publish every map that is wanted, all with the frame's header; return if all are out.

        :param is_current: asked before each message; once it says False nothing more goes out.
        :return: False where ``is_current`` has said so.
        """
        messages = MapMessages(frame, prediction, risk, settings, self._metadata)
        for name, publisher in list(self._publishers.items()):
            if name == 'label_info' or not publisher.get_subscription_count():
                continue
            if frame.camera is None and name in WITH_METRES:
                continue
            message = messages.build(name)
            if not is_current():
                return False
            if message is not None:
                publisher.publish(message)
        return True
