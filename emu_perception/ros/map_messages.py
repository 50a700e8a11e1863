# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The message of each map topic, made from one prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TYPE_CHECKING

from emu_perception.cameras.camera import Camera
from emu_perception.promises.holding import promise_problem
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_published_image
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.source import NotAskedForError, PlannerSource
from emu_perception.ros.planner.table import BUILDERS
from emu_perception.ros.point_cloud import to_point_cloud
from emu_perception.shown import Shown
from emu_perception.topics import CAMERA_INFO, NUMBER, POINTS, Topic
import numpy as np
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Float32, Header

if TYPE_CHECKING:  # The checkpoint package needs torch, which a node may lack until configure.
    from emu_perception.checkpoint.metadata import CheckpointMetadata


@dataclass(frozen=True)
class Frame:
    """One image with all that is known of it: rgb uint8 HxWx3, the input's header, its camera."""

    header: Header
    rgb: np.ndarray
    camera: Camera | None

    @property
    def focal(self) -> float | None:
        """Return the camera's focal length in widths of the image; None where it is unknown."""
        return None if self.camera is None else self.camera.fx / self.camera.width


class MapMessages:
    """Builds the message of each topic from what is given of one image."""

    def __init__(self, frame: Frame, shown: Shown, settings: Settings,
                 metadata: CheckpointMetadata) -> None:
        """Take all that the maps show; points come nearer by ``points_sigma_margin`` sigma."""
        self._frame, self._shown, self._settings = frame, shown, settings
        self._metadata = metadata

    def build(self, topic: Topic) -> Any:
        """
        Return what the topic's publisher takes, or None where this image has nothing.

        :raises WithheldError: where it would mislead.
        :raises NotAskedForError: where parameters do not ask for it, or no promise holds.
        """
        if topic.planner:
            return BUILDERS[topic.name](self._source)
        if topic.kind == CAMERA_INFO:
            return self._camera_info()
        if topic.kind == POINTS:
            return self._points()
        if topic.kind == NUMBER:
            sigma = self._shown.prediction.scale_sigma
            return None if sigma is None else Float32(data=sigma)
        found = self._shown.image(topic)
        if found is None and topic.promised and topic.row is not None:
            raise NotAskedForError(promise_problem(
                self._metadata, topic.row.name, self._settings.promise_level,
                focal=self._frame.focal, fused=self._shown.prediction.scale is not None))
        if found is None:
            return None
        pixels, encoding = found
        return to_published_image(np.ascontiguousarray(pixels), encoding, self._frame.header)

    def _camera_info(self) -> CameraInfo | None:
        height, width = self._shown.prediction.size
        camera = self._frame.camera
        return camera and to_camera_info(camera.outgoing(width, height), self._frame.header)

    def _points(self) -> PointCloud2 | None:
        source, shown = self._source, self._shown
        assert source.depth is not None, 'a topic exists only for a task the checkpoint has'
        if source.camera is None:  # a cloud needs the camera's geometry, and none is invented
            return None
        return to_point_cloud(source.depth, shown.picture, self._frame.header, source.camera,
                              label=shown.prediction.label, sigma=shown.given('depth_variance'))

    @cached_property
    def _source(self) -> PlannerSource:
        """Return what points, and all that is made of them, are of."""
        height, width = self._shown.prediction.size
        camera = self._frame.camera
        return PlannerSource(
            self._frame.header, self._shown, self._nearest(), camera and camera.scaled(
                width, height), self._metadata.classes, self._metadata.depth_max, self._settings)

    def _nearest(self) -> np.ndarray | None:
        """Return the depth less the margin, so that what may be near is told as near."""
        depth, margin = self._shown.given('depth'), self._settings.points_sigma_margin
        if depth is None or not margin > 0:
            return depth
        sigma = self._shown.given('depth_variance')
        if sigma is None:
            return depth
        # NaN, of depth or sigma, stays NaN; beyond the range stays beyond.
        return np.maximum(depth - np.float32(margin) * sigma, np.float32(0.0))
