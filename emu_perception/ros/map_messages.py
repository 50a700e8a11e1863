# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The message of each map topic, made from one prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emu_perception.cameras.camera import Camera
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_published_image
from emu_perception.ros.point_cloud import to_point_cloud
from emu_perception.shown import Shown
from emu_perception.topics import CAMERA_INFO, NUMBER, POINTS, Topic
import numpy as np
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Float32, Header


@dataclass(frozen=True)
class Frame:
    """One image with all that is known of it: rgb uint8 HxWx3, the input's header, its camera."""

    header: Header
    rgb: np.ndarray
    camera: Camera | None


class MapMessages:
    """Builds the message of each topic from what is given of one image."""

    def __init__(self, frame: Frame, shown: Shown, points_sigma_margin: float = 0.0) -> None:
        """Take all that the maps show; points come nearer by so many sigma."""
        self._frame, self._shown, self._margin = frame, shown, points_sigma_margin

    def build(self, topic: Topic) -> Any:
        """Return what the topic's publisher takes, or None where this image has nothing."""
        if topic.kind == CAMERA_INFO:
            return self._camera_info()
        if topic.kind == POINTS:
            return self._points()
        if topic.kind == NUMBER:
            sigma = self._shown.prediction.scale_sigma
            return None if sigma is None else Float32(data=sigma)
        found = self._shown.image(topic)
        if found is None:
            return None
        pixels, encoding = found
        return to_published_image(np.ascontiguousarray(pixels), encoding, self._frame.header)

    def _camera_info(self) -> CameraInfo | None:
        height, width = self._shown.prediction.size
        camera = self._frame.camera
        return camera and to_camera_info(camera.scaled(width, height).info, self._frame.header)

    def _points(self) -> PointCloud2 | None:
        camera, shown = self._frame.camera, self._shown
        depth = shown.given('depth')
        assert depth is not None, 'a topic exists only for a task the checkpoint has'
        if camera is None:  # a cloud needs the camera's geometry, and none is invented
            return None
        height, width = shown.prediction.size
        return to_point_cloud(self._nearest(depth), shown.picture, self._frame.header,
                              camera.scaled(width, height), label=shown.prediction.label,
                              sigma=shown.given('depth_variance'))

    def _nearest(self, depth: np.ndarray) -> np.ndarray:
        """Return the depth less the margin, so that what may be near is told as near."""
        sigma = self._shown.given('depth_variance')
        if not self._margin > 0 or sigma is None:
            return depth
        # NaN, of depth or sigma, stays NaN; beyond the range stays beyond.
        return np.maximum(depth - np.float32(self._margin) * sigma, np.float32(0.0))
