# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an image shows the present: its stamp and its pixels, before they are looked at."""

from __future__ import annotations

from dataclasses import dataclass
import time

from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.topics import other_frame, quoted_frame
from emu_perception.errors import InputError
from emu_perception.freshness import Freshness
from emu_perception.frozen import FrozenPixels, WARN_AFTER_S
from emu_perception.ros.parameters import Settings
from emu_perception.ros.silence import is_simulated
from emu_perception.ros.stamps import nanoseconds
from rclpy.clock import Clock
from sensor_msgs.msg import CompressedImage, Image

# After an image of another frame no image is looked at for so long: of two cameras the one would
# lower the flag for the other.
APART_S = 5.0
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
        self._frame_id = ''
        self._other = (float('-inf'), '', '')  # When a frame was another last; it, the one before.

    def note(self, message: Image | CompressedImage, now_s: float) -> None:
        """
        Note the frame of an image as it arrives, whether or not its turn will come.

        :param now_s: steady clock.
        """
        frame, before = message.header.frame_id, self._frame_id
        self._frame_id = frame or before
        if other_frame(frame, before):
            self._other = (now_s, frame, before)

    def judge(self, message: Image | CompressedImage, settings: Settings) -> Arrival:
        """
        Judge the next image.

        :raises InputError: if images have come of another frame than those before, ``APART_S``
            ago or less: what one camera shows must not lower the flag for another's.
        """
        stamp = message.header.stamp
        simulated, steady_s = is_simulated(self._clock), time.monotonic()
        verdict = self._freshness.observe(
            nanoseconds(stamp), self._clock.now().nanoseconds, steady_s,
            simulated=simulated, max_age_s=settings.max_image_age_s)
        changed_s, frame, before = self._other
        if steady_s - changed_s <= APART_S:
            raise InputError(f'an image is of frame {quoted_frame(frame)}, the one before of '
                             f'{quoted_frame(before)}: do two cameras send there? Give each a '
                             'topic and a node of its own')
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
