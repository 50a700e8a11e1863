# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera_info of an image, and whether it can be used for it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
import time

from builtin_interfaces.msg import Time
from emu_perception.cameras.calibration import CameraInfo as Calibration
from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.info_history import InfoHistory
from emu_perception.cameras.judgement import judge, judge_view, Judgement
from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.rectified_camera import nothing_to_rectify_by, UNRECTIFIABLE
from emu_perception.cameras.topics import ALWAYS, apart_from_image, AUTO, reading
from emu_perception.ros.stamps import nanoseconds
from sensor_msgs.msg import CameraInfo

# Of so many camera_infos one says that they come as a stream, of which the end is worth a word.
_STREAM = 5
_ENDED_AFTER_S = 2.0
_ENDED_AFTER_PERIODS = 5.0


class CameraSource:
    """
    Keeps the newest camera_infos; written by the executor, read by the worker.

    A calibration does not age: the newest counts for as long as no other comes.

    :ivar judgement: of the last image's camera_info.
    :ivar fallback: whether the last image's camera is made of ``fallback_hfov_deg``.
    """

    def __init__(self, image_topic: str, camera_info_topic: str) -> None:
        """Take the resolved topic names."""
        self.image_topic = image_topic
        self.camera_info_topic = camera_info_topic
        self.judgement = _none('no_image', 'no image yet')
        self.fallback = False
        self._arrived_s: deque[float] = deque(maxlen=_STREAM)
        self._infos = InfoHistory()
        self._used: Calibration | None = None
        self._in_doubt = False  # For want of the image's own.
        self._frame_id = ''

    @property
    def problem(self) -> str:
        """Return in one line why the last image has no camera; '' where it has one."""
        problem = self.judgement.problem
        return problem.text if problem else ''

    @property
    def warnings(self) -> str:
        """Return in one line what is odd about the last image's camera_info."""
        return '; '.join(warning.text for warning in self.judgement.warnings)

    @property
    def rectifying(self) -> str:
        """Return in words how the last image was rectified; '' where it was not."""
        camera = self.judgement.camera
        if camera is None or camera.rectification is None:
            return ''
        return (f'{camera.info_of_input.distortion_model} to fx {camera.fx:.1f}, fy '
                f'{camera.fy:.1f}, cx {camera.cx:.1f}, cy {camera.cy:.1f}')

    def update(self, info: CameraInfo, arrived_s: float | None = None) -> None:
        """
        Take a camera_info message.

        :param arrived_s: steady clock; None for one that may have been sent long ago (latched).
        """
        if arrived_s is not None:
            self._arrived_s.append(arrived_s)
        self._frame_id = info.header.frame_id
        self._infos.add(nanoseconds(info.header.stamp), from_message(info), arrived_s)

    def note_senders(self, latched: int, others: int) -> bool:
        """Take who publishes camera_info; see :meth:`InfoHistory.note_senders`."""
        return self._infos.note_senders(latched, others)

    def is_new(self, info: CameraInfo) -> bool:
        """Tell whether others are latched than this; see :meth:`InfoHistory.is_new`."""
        return self._infos.is_new(from_message(info))

    def came_late(self, stamp: Time) -> bool:
        """
        Tell whether an image's own camera_info has come since, and is another than it was given.

        Drivers send it after the image: of a camera that zooms the one before is of another lens.
        """
        own = self._infos.own(nanoseconds(stamp))
        return (self._in_doubt or self._used is not None) and bool(own) and own != (self._used,)

    def ended(self, now_s: float) -> str:
        """Return in one line that a stream of camera_infos has ended, '' where it has not."""
        times = list(self._arrived_s)
        if len(times) < _STREAM:
            return ''
        silent_s, period_s = now_s - times[-1], (times[-1] - times[0]) / (_STREAM - 1)
        if silent_s < max(_ENDED_AFTER_S, _ENDED_AFTER_PERIODS * period_s):
            return ''
        return (f'camera_info on {self.camera_info_topic} came every {period_s:.2g} s and has not '
                f'come for {silent_s:.0f} s: the last one is used')

    def camera_for(self, width: int, height: int, *, use: bool, stamp: Time | None = None,
                   frame_id: str = '', fallback_hfov_deg: float = 0.0, rectify: str = AUTO
                   ) -> Camera | None:
        """
        Return the camera of an image of this size, or None with the reason in ``judgement``.

        With it goes how the image is rectified, where it has to be.

        :param stamp: the image's, by which its camera_info is found.
        :param frame_id: the image's; a camera_info of another frame may be another camera's.
        :param use: False to do without (the parameter ``use_camera_info``).
        :param fallback_hfov_deg: horizontal field of view where there is no plausible camera_info,
            degrees; 0: none is known. Of an image that has to be rectified and cannot be it is
            not used: it says nothing of the lens.
        :param rectify: the parameter, one of ``RECTIFY``.
        """
        stamp_ns = nanoseconds(stamp) if stamp else 0
        info = self._infos.for_image(stamp_ns)
        doubt = self._infos.doubt(stamp_ns, time.monotonic())
        self._used = info if use and not doubt else None
        self._in_doubt = use and bool(doubt) and not self._infos.own(stamp_ns)
        if not use:
            judgement = _none('not_used', 'camera_info is not used (parameter use_camera_info)')
        elif info is None:
            judgement = _none('missing', f'no camera_info on {self.camera_info_topic}')
        elif doubt:
            judgement = _none('several', f'camera_info on {self.camera_info_topic} {doubt}')
        else:
            what = f'camera_info on {self.camera_info_topic}'
            taken = reading(rectify, self.image_topic)
            judgement = judge(info, width, height, rectified=taken.rectified,
                              rectify=taken.rectify, in_doubt=taken.in_doubt, what=what)
            more = [remark.about(what) for remark in (
                self._infos.unstamped, _other_frame(self._frame_id, frame_id)) if remark]
            judgement = replace(judgement, warnings=(*judgement.warnings, *more))
        if judgement.problem is not None and rectify == ALWAYS:
            judgement = Judgement(None, nothing_to_rectify_by(judgement.problem))
        self.fallback = (judgement.problem is not None and fallback_hfov_deg > 0
                         and judgement.problem.code != UNRECTIFIABLE)
        if judgement.problem is not None and self.fallback:
            judgement = _fallback(judgement.problem, width, height, fallback_hfov_deg)
        self.judgement = judgement
        return judgement.camera


def _fallback(problem: Remark, width: int, height: int, hfov_deg: float) -> Judgement:
    what = f'fallback_hfov_deg {hfov_deg:g}'
    judgement = judge_view(width, height, hfov_deg, 'fallback_hfov_deg')
    if judgement.problem is not None:
        return _none(judgement.problem.code, f'{problem.text}; {judgement.problem.text}')
    return replace(judgement, warnings=(
        Remark('fallback', f'{problem.text}: {what} is used in its place'), *judgement.warnings))


def _other_frame(given: str, image: str) -> Remark | None:
    apart = apart_from_image(given, image)
    # Not a fault: drivers differ in how they name frames.
    return Remark('other_frame', f"{apart}: is it another camera's, with another focal length? "
                  "take the camera_info that is sent with the image, or have the driver name the "
                  "image's frame") if apart else None


def _none(code: str, text: str) -> Judgement:
    return Judgement(None, Remark(code, text))
