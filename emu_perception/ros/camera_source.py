# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera_info of an image, and whether it can be used for it."""

from __future__ import annotations

from collections import deque

from builtin_interfaces.msg import Time
from emu_perception.errors import InputError
from emu_perception.recordings.camera import looks_rectified
from emu_perception.ros.camera_model import camera_model, CameraModel
from sensor_msgs.msg import CameraInfo


class CameraSource:
    """
    Keeps the newest camera_infos; written by the executor, read by the worker.

    An image takes the one of its own stamp, since the next one of a zooming camera may already
    be there when the image's turn comes; without such a one it takes the newest.
    """

    _KEPT = 16

    def __init__(self, image_topic: str, camera_info_topic: str) -> None:
        """Take the resolved topic names."""
        self.image_topic = image_topic
        self.camera_info_topic = camera_info_topic
        self.problem = 'no image yet'
        self._rectified = looks_rectified(image_topic)
        self._infos: deque[CameraInfo] = deque(maxlen=self._KEPT)

    def update(self, info: CameraInfo) -> None:
        """Take a camera_info message."""
        self._infos.append(info)

    def model_for(self, width: int, height: int, *, use: bool,
                  stamp: Time | None = None) -> CameraModel | None:
        """
        Return the camera of an image of this size, or None with the reason in ``problem``.

        :param stamp: the image's, by which its camera_info is found.
        :param use: False to do without (the parameter ``use_camera_info``).
        """
        infos = list(self._infos)
        newest = infos[-1] if infos else None
        info = next((one for one in infos if one.header.stamp == stamp), newest)
        model, problem = None, ''
        if not use:
            problem = 'camera_info is not used (parameter use_camera_info)'
        elif info is None:
            problem = f'no camera_info on {self.camera_info_topic}'
        else:
            try:
                model = camera_model(info, rectified=self._rectified)
                if (model.width, model.height) != (width, height):
                    problem = (f'camera_info on {self.camera_info_topic} is for '
                               f'{model.width}x{model.height}, the image is {width}x{height}')
                    model = None
            except InputError as error:
                problem = f'{error} (topic {self.camera_info_topic})'
        self.problem = problem
        return model
