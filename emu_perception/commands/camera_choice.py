# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera ``emu_run`` takes an image to be of."""

from __future__ import annotations

import logging

from emu_perception.cameras.calibration import CameraInfo, pinhole_info
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge, judge_view, Judgement
from emu_perception.cameras.lens import distorts
from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.rectified_camera import nothing_to_rectify_by, UNRECTIFIABLE
from emu_perception.cameras.source import InputImage
from emu_perception.cameras.topics import ALWAYS, AUTO, in_doubt, reading
from emu_perception.errors import InputError

_MISSING = 'missing'
_REMEDY = 'give --fx, --camera-info or --hfov'

LOGGER = logging.getLogger('emu_perception')


class CameraChoice:
    """
    The camera of each image: what the user says, else what came with the image, else his guess.

    :param fx: pixels, or None.
    :param info: a calibration that the user gave, or None.
    :param hfov_deg: the horizontal field of view where there is neither, or None.
    :param metric: whether the network gives metres, for which a focal length is needed.
    :param rectify: one of ``RECTIFY``; an image whose lens distorts gets a camera with its
        rectification.
    :raises InputError: if that cannot be one of any image, or fx is given to rectify by.
    """

    def __init__(self, fx: float | None, info: CameraInfo | None,
                 hfov_deg: float | None = None, *, metric: bool = True,
                 rectify: str = AUTO) -> None:
        self._fx, self._info, self._hfov_deg, self._metric = fx, info, hfov_deg, metric
        self._rectify = rectify
        self._problem: Remark | None = None
        self._said: set[str] = set()
        self._used = False
        self._fx_size: tuple[int, int] | None = None
        if info is not None:
            judge(info, info.width, info.height, rectified=not distorts(info),
                  what='--camera-info').needed()
        if fx is not None and rectify == ALWAYS:
            raise InputError('--rectify always needs what --fx does not say, the distortion: give '
                             '--camera-info')

    def camera_of(self, image: InputImage, width: int, height: int) -> Camera | None:
        """
        Return the camera, or None (said once) where there is none of this size.

        :raises InputError: if the user's calibration, focal length or field of view does not fit
            the first image; another that it does not fit has no camera.
        """
        self._problem = None
        camera = self._calibrated(image, width, height)
        problem = self._problem
        if problem is None or camera is not None:
            return camera
        if self._rectify == ALWAYS and problem.code != UNRECTIFIABLE:
            problem = self._problem = nothing_to_rectify_by(problem)
        unrectified = problem.code == UNRECTIFIABLE
        if self._hfov_deg is not None and not unrectified:
            camera = self._of_user(judge_view(width, height, self._hfov_deg, '--hfov'))
            if camera is not None:
                self._say_once('hfov', f'{problem.text}: --hfov {self._hfov_deg:g} is used in its '
                               'place')
                return camera
            problem = self._problem or problem
        if self._metric:
            self._say_once(problem.code, f'{problem.text}: depth is NOT scaled to this camera for '
                           'such images, and the risk flag is raised'
                           f'{"" if unrectified else f"; {_REMEDY}"}')
        elif problem.code != _MISSING or image.info_missing:
            self._say_once(problem.code, problem.text)
        return camera

    @property
    def problem(self) -> str:
        """Return in one line why the last image has no camera; '' where it has one."""
        return self._problem.text if self._problem else ''

    def _calibrated(self, image: InputImage, width: int, height: int) -> Camera | None:
        taken = reading(self._rectify, image.topic)
        if self._fx is not None:
            if image.info is not None and distorts(image.info) and (
                    taken.rectify or taken.in_doubt):
                self._say_once('fx_distorted', f'{image.name}: its calibration has distortion, '
                               'which --fx leaves in the image: depth is off towards the edges')
            first = self._fx_size = self._fx_size or (width, height)
            if first != (width, height):
                self._say_once('fx_sizes', f'{image.name} is {width}x{height}, the first image '
                               f'{first[0]}x{first[1]}: --fx {self._fx:g} is taken for both, '
                               'which holds where one is cut out of the other, not shrunk')
            given = pinhole_info(width, height, self._fx)
            return self._of_user(judge(given, width, height, rectified=True, what='--fx'))
        info, theirs = self._info or image.info, self._info is not None
        if info is None:
            self._problem = (Remark('unreadable', f'{image.name}: {image.info_problem}')
                             if image.info_problem else
                             Remark(_MISSING, image.info_missing
                                    or 'no calibration came with the image'))
            return None
        apart = image.apart_from(info, width, height)
        if apart:  # Nor does a field of view say where a lens's distortion lies then.
            self._problem = Remark(UNRECTIFIABLE if taken.rectify and distorts(info) else 'turned',
                                   f'{image.name}: {apart}')
            return None
        what = '--camera-info' if theirs else f'{image.name}: its calibration'
        # What has a distortion, and no topic that says otherwise, is of the image as it came.
        rectified = taken.rectified or not in_doubt(image.topic) and (
            theirs or image.rectified) and not distorts(info)
        judgement = judge(info, width, height, rectified=rectified, rectify=taken.rectify,
                          in_doubt=taken.in_doubt, what=what)
        for warning in judgement.warnings:
            self._say_once(warning.code, warning.text)
        if theirs:
            return self._of_user(judgement)
        if judgement.problem is not None:
            self._problem = judgement.problem
        return judgement.camera

    def _of_user(self, judgement: Judgement) -> Camera | None:
        """Return the camera that the user gives; one of no image is refused with the first."""
        if not self._used:
            judgement.needed()
        self._problem, self._used = judgement.problem, True
        return judgement.camera

    def _say_once(self, code: str, text: str) -> None:
        if code not in self._said:
            self._said.add(code)
            LOGGER.warning(text)
