# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The message of each map topic, made from one prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math
from typing import Any, TYPE_CHECKING

import cv2
from emu_perception import visualization
from emu_perception.cameras.camera import Camera
from emu_perception.prediction import Prediction
from emu_perception.risk import RiskState
from emu_perception.risk_status import banner_text
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_published_image
from emu_perception.ros.parameters import Settings
from emu_perception.ros.point_cloud import to_point_cloud
import numpy as np
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

if TYPE_CHECKING:
    from emu_perception.checkpoint import CheckpointMetadata


@dataclass(frozen=True)
class Frame:
    """One image with all that is known of it: rgb uint8 HxWx3, the input's header, its camera."""

    header: Header
    rgb: np.ndarray
    camera: Camera | None


class MapMessages:
    """Builds the message of each topic from one prediction."""

    def __init__(self, frame: Frame, prediction: Prediction, risk: RiskState, settings: Settings,
                 metadata: CheckpointMetadata) -> None:
        """Take all that the maps show."""
        self._frame, self._prediction, self._risk = frame, prediction, risk
        self._settings, self._metadata = settings, metadata
        # ln K nats: the entropy of knowing nothing.
        self._entropy_limit = (settings.entropy_color_max
                               or math.log(max(len(metadata.classes), 2)))

    def build(self, name: str) -> Any:
        """Return what the topic's publisher takes, or None where this image has nothing."""
        if name in ('camera_info', 'depth/camera_info'):
            return self._camera_info()
        if name == 'points':
            return self._points()
        if name == 'instance' and self._prediction.instance is None:
            return None  # a checkpoint that has votes but no labels to tell things by
        pixels, encoding = getattr(self, f'_{name.replace("/", "_")}')()
        return to_published_image(np.ascontiguousarray(pixels), encoding, self._frame.header)

    @cached_property
    def _sigma(self) -> np.ndarray | None:
        return self._prediction.depth_sigma

    def _label(self) -> tuple[np.ndarray, str]:
        return _given(self._prediction.label), 'mono8'

    def _instance(self) -> tuple[np.ndarray, str]:
        return _given(self._prediction.instance), '16UC1'

    def _label_color(self) -> tuple[np.ndarray, str]:
        return visualization.label_color(_given(self._prediction.label),
                                         self._metadata.palette), 'rgb8'

    def _overlay(self) -> tuple[np.ndarray, str]:
        picture = self._picture()
        if self._prediction.label is not None:
            picture = visualization.overlay(picture, self._prediction.label,
                                            self._metadata.palette, self._settings.overlay_alpha)
        if self._prediction.instance is not None:
            picture = visualization.instance_outlines(picture, self._prediction.instance)
        return visualization.risk_banner(picture, self._risk.raised,
                                         banner_text(self._risk)), 'rgb8'

    def _confidence(self) -> tuple[np.ndarray, str]:
        share = np.nan_to_num(_given(self._prediction.confidence))
        return np.rint(np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8), 'mono8'

    def _segmentation_uncertainty(self) -> tuple[np.ndarray, str]:
        return _given(self._prediction.segmentation_entropy), '32FC1'

    def _segmentation_uncertainty_color(self) -> tuple[np.ndarray, str]:
        return visualization.scalar_color(_given(self._prediction.segmentation_entropy), 0.0,
                                          self._entropy_limit), 'rgb8'

    def _depth_image(self) -> tuple[np.ndarray, str]:
        if self._settings.depth_encoding == '16UC1':
            return to_millimetres(self._depth()), '16UC1'
        return self._depth(), '32FC1'

    def _depth(self) -> np.ndarray:
        depth, limit = _given(self._prediction.depth), self._settings.unknown_depth_sigma
        if limit > 0:
            # Written so that a sigma that is NaN makes the depth unknown too.
            depth = np.where(_given(self._sigma) <= limit, depth, np.float32(np.nan))
        return depth

    def _depth_uncertainty(self) -> tuple[np.ndarray, str]:
        return _given(self._sigma), '32FC1'

    def _depth_uncertainty_color(self) -> tuple[np.ndarray, str]:
        return visualization.scalar_color(_given(self._sigma), 0.0,
                                          self._settings.sigma_color_max_m), 'rgb8'

    def _camera_info(self) -> CameraInfo | None:
        height, width = self._prediction.size
        camera = self._frame.camera
        return camera and to_camera_info(camera.scaled(width, height).info, self._frame.header)

    def _points(self) -> PointCloud2 | None:
        camera = self._frame.camera
        if camera is None:  # a cloud needs the camera's geometry, and none is invented
            return None
        height, width = self._prediction.size
        return to_point_cloud(self._nearest_depth(), self._picture(), self._frame.header,
                              camera.scaled(width, height),
                              label=self._prediction.label, sigma=self._sigma)

    def _nearest_depth(self) -> np.ndarray:
        """Return the depth less a margin, so that what may be near is told as near."""
        margin, depth = self._settings.points_sigma_margin, self._depth()
        if not margin > 0:
            return depth
        # NaN, of depth or sigma, stays NaN; beyond the range stays beyond.
        return np.maximum(depth - np.float32(margin) * _given(self._sigma), np.float32(0.0))

    def _picture(self) -> np.ndarray:
        height, width = self._prediction.size
        rgb = self._frame.rgb
        if rgb.shape[:2] == (height, width):
            return rgb
        return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)


def to_millimetres(depth: np.ndarray) -> np.ndarray:
    """
    Return a depth in metres as REP 118's uint16: whole millimetres, 0 where there is none.

    Beyond 65.535 m there is none either: the nearest value that fits would be a lie.
    """
    millimetres = np.rint(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0) * 1e3)
    fits = (millimetres > 0) & (millimetres <= np.iinfo(np.uint16).max)
    return np.where(fits, millimetres, 0.0).astype(np.uint16)


def _given(values: np.ndarray | None) -> np.ndarray:
    assert values is not None, 'a topic exists only for a task the checkpoint has'
    return values
