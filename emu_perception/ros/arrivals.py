# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image shows the present: its stamp and its pixels, before they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
import time

from emu_perception.cameras.one_camera import compressed_kind, kind_of, OneCamera
from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.two_views import TwoViews
from emu_perception.errors import InputError
from emu_perception.freshness import Freshness
from emu_perception.frozen import FrozenPixels, WARN_AFTER_S
from emu_perception.ros.parameters import Settings
from emu_perception.ros.silence import is_simulated
from emu_perception.ros.stamps import nanoseconds
import numpy as np
from rclpy.clock import Clock
from sensor_msgs.msg import CompressedImage, Image

_UNSTAMPED = Remark('image_unstamped', 'images have stamp 0: their age is not known, and one that '
                    'is sent again is not noticed; have the driver stamp them')


@dataclass(frozen=True)
class Arrival:
    """
    What was found of one image.

    :ivar repeated: it has the stamp of the last one and is to be dropped.
    :ivar stale: why it does not show the present; '' where it does.
    :ivar warnings: what else is odd about it.
    """

    repeated: bool = False
    stale: str = ''
    warnings: tuple[Remark, ...] = ()


class Arrivals:
    """
    Judges the images of one activation; for the worker's thread, but for :meth:`note`.

    :ivar warnings: of the last image.
    """

    def __init__(self, clock: Clock) -> None:
        """Take the node's clock."""
        self._clock = clock
        self._freshness, self._frozen = Freshness(), FrozenPixels()
        self.warnings: tuple[Remark, ...] = ()
        self._one, self._views = OneCamera(), TwoViews()

    def note(self, message: Image | CompressedImage, now_s: float, *, other_sender: bool = False
             ) -> None:
        """
        Note whose an image is as it arrives, whether or not its turn will come.

        :param now_s: steady clock.
        :param other_sender: whether it is of another publisher than the one before.
        """
        self._one.note(now_s, message.header.frame_id, message_kind(message),
                       other_sender=other_sender)

    def judge(self, message: Image | CompressedImage, settings: Settings) -> Arrival:
        """
        Judge the next image.

        :raises InputError: if images seem to be of two cameras: what one shows must not lower the
            flag for another.
        """
        stamp = message.header.stamp
        simulated, steady_s = is_simulated(self._clock), time.monotonic()
        verdict = self._freshness.observe(
            nanoseconds(stamp), self._clock.now().nanoseconds, steady_s,
            simulated=simulated, max_age_s=settings.max_image_age_s)
        if doubt := self._one.doubt(steady_s):
            raise InputError(doubt)
        if verdict.repeated:
            return Arrival(repeated=True)
        same_s = self._frozen.same_for_s(message.data, steady_s)
        limit_s = 0.0 if simulated else settings.frozen_after_s
        frozen = f'the image has had the same pixels for {same_s:.1f} s'
        stale = verdict.stale
        if limit_s and same_s > limit_s:
            stale = stale or f'{frozen} (frozen_after_s is {limit_s:g})'
        warnings = []
        if verdict.unstamped:
            warnings.append(_UNSTAMPED)
        if same_s > WARN_AFTER_S:
            warnings.append(Remark('image_frozen', f'{frozen}: is the camera frozen? The '
                                   'parameter frozen_after_s raises the risk flag for it'))
        self.warnings = tuple(warnings)
        return Arrival(stale=stale, warnings=self.warnings)

    def see(self, rgb: np.ndarray) -> tuple[Remark, ...]:
        """Look at the pixels of the image judged last; return all that is odd about it."""
        if found := self._views.see(rgb, time.monotonic()):
            self.warnings = (*self.warnings, found)
        return self.warnings

    def outlived(self, received_s: float, settings: Settings) -> str:
        """
        Return why the image judged last is too old by the time it is answered; '' where it is not.

        A network that hung, or whose turn was long in coming, answers for what was, and must not
        lower the flag by it.

        :param received_s: when it arrived, steady clock: so old at least is one without a stamp.
        """
        steady_s = time.monotonic()
        age_s = self._freshness.age_s(self._clock.now().nanoseconds, steady_s)
        if age_s is None and not is_simulated(self._clock):
            age_s = steady_s - received_s
        if age_s is None or age_s <= settings.max_image_age_s:
            return ''
        return (f'the image was {age_s:.1f} s old when the network had answered (max_image_age_s '
                f'is {settings.max_image_age_s:g})')


def message_kind(message: Image | CompressedImage) -> str:
    """Return size and encoding of a message in words."""
    if isinstance(message, CompressedImage):
        return compressed_kind(message.data)
    return kind_of(message.width, message.height, message.encoding)
