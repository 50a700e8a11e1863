# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera_info of an image, and whether it can be used for it."""

from __future__ import annotations

from dataclasses import replace

from builtin_interfaces.msg import Time
from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.info_history import InfoHistory
from emu_perception.cameras.judgement import judge, Judgement
from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.topics import looks_rectified
from sensor_msgs.msg import CameraInfo


class CameraSource:
    """
    Keeps the newest camera_infos; written by the executor, read by the worker.

    :ivar judgement: of the last image's camera_info.
    """

    def __init__(self, image_topic: str, camera_info_topic: str) -> None:
        """Take the resolved topic names."""
        self.image_topic = image_topic
        self.camera_info_topic = camera_info_topic
        self.judgement = _none('no_image', 'no image yet')
        self._rectified = looks_rectified(image_topic)
        self._infos = InfoHistory()

    @property
    def problem(self) -> str:
        """Return in one line why the last image has no camera; '' where it has one."""
        problem = self.judgement.problem
        return problem.text if problem else ''

    @property
    def warnings(self) -> str:
        """Return in one line what is odd about the last image's camera_info."""
        return '; '.join(warning.text for warning in self.judgement.warnings)

    def update(self, info: CameraInfo) -> None:
        """Take a camera_info message."""
        self._infos.add(_nanoseconds(info.header.stamp), from_message(info))

    def camera_for(self, width: int, height: int, *, use: bool,
                   stamp: Time | None = None) -> Camera | None:
        """
        Return the camera of an image of this size, or None with the reason in ``judgement``.

        :param stamp: the image's, by which its camera_info is found.
        :param use: False to do without (the parameter ``use_camera_info``).
        """
        info = self._infos.for_image(_nanoseconds(stamp) if stamp else None)
        if not use:
            judgement = _none('not_used', 'camera_info is not used (parameter use_camera_info)')
        elif info is None:
            judgement = _none('missing', f'no camera_info on {self.camera_info_topic}')
        else:
            what = f'camera_info on {self.camera_info_topic}'
            judgement = judge(info, width, height, rectified=self._rectified, what=what)
            unstamped = self._infos.unstamped
            if unstamped is not None:
                judgement = replace(
                    judgement, warnings=(*judgement.warnings, unstamped.about(what)))
        self.judgement = judgement
        return judgement.camera


def _none(code: str, text: str) -> Judgement:
    return Judgement(None, Remark(code, text))


def _nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
