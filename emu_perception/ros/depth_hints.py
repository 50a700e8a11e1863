# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The depth camera's images: which belongs to which colour image, and which came too late."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
import threading
import time

from emu_perception.cameras.one_camera import kind_of, OneCamera
from emu_perception.fusion.hint_stream import CONTRARY, EMPTY, FROZEN, REFUSED, USED
from emu_perception.ros.stamps import nanoseconds
from sensor_msgs.msg import Image

_KEPT = 8  # Of images that are still to come, or were dropped.
_REMEMBERED = 64  # Stamps, to know repeated ones by.
_JUMP_NS = 10**9  # Off by more is another run, and no message that was overtaken.
CAUSES = (USED, 'missing', 'late', 'repeated', 'unusable', REFUSED, EMPTY, FROZEN, CONTRARY)


@dataclass(frozen=True)
class _Wanted:
    """The stamp of an image, and by how much its hint's may differ; nanoseconds."""

    stamp: int
    slop: int

    @property
    def last(self) -> int:
        """Return the last stamp that a hint of it may have."""
        return self.stamp + self.slop

    def off(self, stamp: int) -> int:
        """Return how far a hint's stamp is from the image's."""
        return abs(stamp - self.stamp)

    def takes(self, stamp: int) -> bool:
        """Tell whether a hint of this stamp may be the image's."""
        return self.off(stamp) <= self.slop


class DepthHints:
    """
    Finds the hint of each image; written by the executor, read by the worker.

    A hint is of the image whose stamp it has, and is used once. One that comes when its image has
    gone out without it is late, and thrown away; so is one whose stamp was there already.
    """

    def __init__(self, topic: str) -> None:
        """Take the resolved name of the topic."""
        self.topic = topic
        self._ready = threading.Condition()
        self._counts: Counter[str] = Counter()
        self._problem = ''
        self.begin()

    def begin(self) -> None:
        """Forget all stamps: a new activation may bring another clock."""
        with self._ready:
            self._kept: deque[tuple[int, Image]] = deque(maxlen=_KEPT)
            self._stamps: deque[int] = deque(maxlen=_REMEMBERED)
            self._expected: _Wanted | None = None  # Until it is taken.
            self._match: Image | None = None
            self._taken: _Wanted | None = None
            self._problem = ''
            self._one = OneCamera('depth image')

    @property
    def counts(self) -> dict[str, int]:
        """Return how many images had a hint, and what became of the other hints, by cause."""
        with self._ready:
            return {cause: self._counts[cause] for cause in CAUSES}

    @property
    def none_came(self) -> bool:
        """Tell whether nothing with a stamp has come on the topic, since it is listened to."""
        return not self._stamps and not self._counts['unusable']

    @property
    def problem(self) -> str:
        """Return in one line why the last image had no hint; '' where it had one."""
        return self._problem

    @property
    def doubt(self) -> str:
        """Return in one line why the hints may be of two depth cameras; '' where of one."""
        found = self._one.doubt(time.monotonic())
        return found and f'on {self.topic} {found}'

    def update(self, message: Image, other_sender: bool = False) -> None:
        """
        Take a message of the topic.

        :param other_sender: whether it is of another publisher than the one before.
        """
        stamp = nanoseconds(message.header.stamp)
        self._one.note(time.monotonic(), message.header.frame_id,
                       kind_of(message.width, message.height, message.encoding),
                       other_sender=other_sender)
        with self._ready:
            if not stamp:
                self._counts['unusable'] += 1
                self._problem = f'{self.topic} has stamp 0, which is of no image'
                return
            if self._stamps and stamp < self._stamps[-1] - _JUMP_NS:
                self._kept.clear()
                self._stamps.clear()
            if stamp in self._stamps:
                self._counts['repeated'] += 1
                return
            self._stamps.append(stamp)
            expected = self._expected
            if expected is not None and expected.takes(stamp):
                if self._match is None or (
                        expected.off(stamp) < expected.off(nanoseconds(self._match.header.stamp))):
                    self._match = message
            elif self._taken is not None and self._taken.takes(stamp):
                self._counts['late'] += 1
            else:
                self._kept.append((stamp, message))
            self._ready.notify()

    def expect(self, stamp_ns: int, slop_s: float) -> None:
        """
        Note the stamp of the image in work, so that its hint is kept for however long that takes.

        :param slop_s: by how much the hint's may differ.
        """
        with self._ready:
            self._expected = expected = _Wanted(stamp_ns, round(slop_s * 1e9))
            near = [(stamp, message) for stamp, message in self._kept if expected.takes(stamp)]
            self._match = min(near, key=lambda one: expected.off(one[0]))[1] if near else None

    def take(self, until_s: float) -> Image | None:
        """
        Return the hint of the expected image; None where none has come.

        :param until_s: of the steady clock, waited at most.
        """
        with self._ready:
            while self._match is None and not self._passed():
                left_s = until_s - time.monotonic()
                if left_s <= 0 or not self._ready.wait(left_s):
                    break
            found, self._match = self._match, None
            if self._expected is None:  # Begun anew meanwhile.
                return None
            self._taken, self._expected = self._expected, None
            last = self._taken.last
            self._kept = deque((one for one in self._kept if one[0] > last), maxlen=_KEPT)
            if found is None:
                self._counts['missing'] += 1
                self._problem = self._why(self._taken.stamp)
            else:
                self._problem = ''
            return found

    def used(self) -> None:
        """Count an image whose hint was joined in."""
        with self._ready:
            self._counts['used'] += 1

    def left_out(self, problem: str, cause: str) -> None:
        """Count a hint that cannot be joined in; ``cause`` is one of ``CAUSES``."""
        with self._ready:
            self._counts[cause] += 1
            self._problem = problem

    def _passed(self) -> bool:
        """Tell whether a hint of a later image is there, or nobody expects one any more."""
        if self._expected is None:
            return True
        last = self._expected.last
        return any(last < stamp <= last + _JUMP_NS for stamp, _ in self._kept)

    def _why(self, stamp_ns: int) -> str:
        if not self._stamps:
            return f'nothing has come on {self.topic}'
        off_s = (self._stamps[-1] - stamp_ns) / 1e9
        return (f'{self.topic} has nothing of the stamp of the last image, its newest is '
                f'{abs(off_s):.3f} s {"older" if off_s < 0 else "newer"}')
