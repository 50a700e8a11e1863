# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera ``emu_run`` takes an image to be of."""

from __future__ import annotations

import logging

from emu_perception.cameras.calibration import CameraInfo, pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.source import InputImage

LOGGER = logging.getLogger('emu_perception')


class CameraChoice:
    """
    The camera of each image: what the user says, else what came with the image.

    :param fx: pixels, or None.
    :param info: a calibration that the user gave, or None.
    :raises InputError: if that cannot be one of any image.
    """

    def __init__(self, fx: float | None, info: CameraInfo | None) -> None:
        self._fx, self._info = fx, info
        self._said: set[str] = set()
        self._used = False
        if info is not None:
            judge(info, info.width, info.height, rectified=True, what='--camera-info').needed()

    def camera_of(self, image: InputImage, width: int, height: int) -> Camera | None:
        """
        Return the camera, or None (said once) where there is none of this size.

        :raises InputError: if the user's calibration does not fit the first image.
        """
        if self._fx is not None:
            given = pinhole_info(width, height, self._fx)
            return judge(given, width, height, rectified=True, what='--fx').needed()
        info, theirs = self._info or image.info, self._info is not None
        if info is None:
            if image.info_problem:
                self._say_unscaled('unreadable', f'{image.name}: {image.info_problem}')
            return None
        what = '--camera-info' if theirs else f'{image.name}: its calibration'
        judgement = judge(info, width, height, rectified=theirs or image.rectified, what=what)
        if theirs and not self._used:
            judgement.needed()
        if judgement.problem is not None:
            self._say_unscaled(judgement.problem.code, judgement.problem.text)
        self._used |= judgement.camera is not None
        for warning in judgement.warnings:
            self._say_once(warning.code, warning.text)
        return judgement.camera

    def _say_unscaled(self, code: str, text: str) -> None:
        self._say_once(code, f'{text}: depth is NOT scaled to this camera for such images')

    def _say_once(self, code: str, text: str) -> None:
        if code not in self._said:
            self._said.add(code)
            LOGGER.warning(text)
