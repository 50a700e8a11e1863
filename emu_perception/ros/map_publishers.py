# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The maps on their topics, each converted only while somebody listens to it."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from enum import Enum
from typing import Any, TYPE_CHECKING

from emu_perception.errors import InputError
from emu_perception.label_names import label_names
from emu_perception.prediction import Prediction
from emu_perception.promises.holding import promises_for
from emu_perception.risk import RiskState
from emu_perception.ros.gate import Gate, gate_of
from emu_perception.ros.map_messages import Frame, MapMessages
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.source import NotAskedForError, WithheldError
from emu_perception.ros.qos import latched, reliable, with_overrides
from emu_perception.shown import Look, Shown
from emu_perception.topics import CAMERA_INFO, IMAGE, NUMBER, POINTS, SCAN, TOPICS, topics_of
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_msgs.msg import Float32, Header

if TYPE_CHECKING:
    from emu_perception.checkpoint import CheckpointMetadata

_TYPES = {IMAGE: Image, CAMERA_INFO: CameraInfo, POINTS: PointCloud2, NUMBER: Float32,
          SCAN: LaserScan}


class MapsOut(Enum):
    """What became of an image's maps: all out, none with metres, or the session has ended."""

    ALL = 'all'
    WITHHELD = 'withheld'
    ENDED = 'ended'


class MapPublishers:
    """The publishers of a checkpoint's tasks."""

    def __init__(self, node: LifecycleNode, metadata: CheckpointMetadata, *,
                 hinted: bool = False) -> None:
        """
        Create the topics of the tasks the checkpoint has.

        :param hinted: those too of metres whose scale a depth camera or the ground tells.
        """
        self._node = node
        self._metadata, self._hinted = metadata, hinted
        self._publishers: dict[str, Any] = {}
        self._names_wait = False
        self._create()

    def _create(self) -> None:
        for topic in topics_of(self._metadata.outputs, hinted=self._hinted, planner=True,
                               promises=self._metadata.calibration.promises):
            if topic.name not in self._publishers:
                self._publishers[topic.name] = self._node.create_publisher(
                    _TYPES[topic.kind], f'~/{topic.name}', reliable(), **with_overrides())

    def showing(self, metadata: CheckpointMetadata) -> MapPublishers:
        """
        Return the same topics for another checkpoint of the same tasks.

        Subscribers notice nothing; an image of the old checkpoint still in work keeps its colours.
        What the old one did not promise and the new one does comes to them.
        """
        result = copy(self)
        result._metadata, result._publishers = metadata, dict(self._publishers)
        result._create()
        return result

    def publish_label_info(self, *, at_once: bool = True) -> bool:
        """
        Publish the class names, latched; return False where vision_msgs is not installed.

        :param at_once: else before the first maps that have these names: those of the checkpoint
            before may still be on their way, and would be read by names that are not theirs.
        """
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:
            return False
        if 'label_info' not in self._publishers:
            self._publishers['label_info'] = self._node.create_publisher(
                LabelInfo, '~/label_info', latched(), **with_overrides())
        self._names_wait = True
        if at_once:
            self._publish_names()
        return True

    def _publish_names(self) -> None:
        publisher = self._publishers.get('label_info')
        if publisher is None or not self._names_wait:
            return
        from vision_msgs.msg import LabelInfo, VisionClass
        publisher.publish(LabelInfo(
            header=Header(stamp=self._node.get_clock().now().to_msg()), threshold=0.0,
            class_map=[VisionClass(class_id=index, class_name=name)
                       for index, name in label_names(self._metadata.classes)]))
        self._names_wait = False

    def destroy(self) -> None:
        """Remove the topics."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}

    def listened_to(self) -> list[str]:
        """Return the topics of maps that somebody listens to, below the node's name."""
        return [name for name, publisher in list(self._publishers.items())
                if name != 'label_info' and publisher.get_subscription_count()]

    def wanted(self) -> bool:
        """Tell whether anybody listens to a map."""
        return bool(self.listened_to())

    def publish(self, frame: Frame, prediction: Prediction, risk: RiskState, settings: Settings,
                is_current: Callable[[], bool], gate: Gate,
                leave_out: Callable[[str, Exception], None] = lambda topic, why: None
                ) -> MapsOut:
        """
        Publish every map that is wanted, all with the frame's header.

        :param is_current: asked before each message; once it says False nothing more goes out.
        :param gate: asked before each message with metres is made, and before it goes out.
        :param leave_out: told of each topic that is withheld since too much of it is not known,
            or that parameters do not ask for.
        """
        withheld = False
        if is_current():
            self._publish_names()
        if settings.output_size == 'camera' and prediction.size != frame.rgb.shape[:2]:
            # Made at the network's size while nobody listened: who listens now gets the next.
            return MapsOut.ALL
        look = Look.of(self._metadata, {'segmentation_entropy': settings.entropy_color_max,
                                        'depth_variance': settings.sigma_color_max_m},
                       overlay_alpha=settings.overlay_alpha,
                       unknown_depth_sigma=settings.unknown_depth_sigma,
                       depth_encoding=settings.depth_encoding,
                       promises=promises_for(
                           self._metadata, settings.promise_level, focal=frame.focal,
                           fused=prediction.scale is not None))
        messages = MapMessages(frame, Shown(frame.rgb, prediction, risk, look),
                               settings, self._metadata)
        for name, publisher in list(self._publishers.items()):
            if name == 'label_info' or not publisher.get_subscription_count():
                continue
            topic = TOPICS[name]
            if frame.camera is None and topic.in_metres:
                continue
            behind = gate_of(topic.name, topic.task)
            passing = gate.passes(behind, topic.promised)
            try:
                message = messages.build(topic) if passing else None
            # InputError: classes of another model.
            except (WithheldError, NotAskedForError, InputError) as error:
                message = None
                leave_out(name, error)
            if not is_current():
                return MapsOut.ENDED
            if not (passing and gate.passes(behind, topic.promised)):
                withheld = True
            elif message is not None:
                publisher.publish(message)
        return MapsOut.WITHHELD if withheld else MapsOut.ALL
