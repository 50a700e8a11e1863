# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The newest calibrations of a camera, and which of them an image takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
import math

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.plausibility import Remark
from emu_perception.cameras.turns import Turns

UNSTAMPED = Remark('unstamped', 'has stamp 0: the newest counts, which may be of another image '
                   'where the lens zooms; have the driver stamp it as its image')

_TWO = 'two cameras send there; give each a topic of its own'
# To one calibration so many returns: a lens zooms in and out again, but hardly twice.
_RETURNS = 2
# Of focal lengths and centres: an encoder's noise is no other lens.
_ALIKE, _ALIKE_PX = 0.02, 3.0


class InfoHistory:
    """
    Keeps the newest calibrations; may be filled by one thread and asked by another.

    An image takes the one of its own stamp, since the next one of a zooming camera may already
    be there when the image's turn comes; without such a one it takes the newest. A stamp of 0 is
    one that the driver did not set: it is nobody's own.
    """

    _KEPT = 16

    def __init__(self) -> None:
        self._infos: deque[tuple[int, CameraInfo]] = deque(maxlen=self._KEPT)
        self._turns = Turns(_alike)
        # Each kind once, the newest last; another tuple every time, as another thread reads it.
        self._latched: tuple[CameraInfo, ...] = ()
        self._streamed: CameraInfo | None = None
        self._senders = (0, 0)

    def note_senders(self, latched: int, others: int) -> bool:
        """
        Take how many publishers there are now that latch what they send, and how many not.

        :return: whether one has gone of some that said different things, or come to one that has
            said several: who says what nobody knows, so that all are forgotten, and who is there
            is to be asked again.
        """
        gone = sum(self._senders) > latched + others and self._of_several()
        come = latched > max(self._senders[0], 1) and len(self._latched) > 1
        if gone or come:
            self._infos.clear()
            self._latched, self._streamed = (), None
        self._senders = (latched, others)
        return gone or come

    def is_new(self, info: CameraInfo) -> bool:
        """Tell whether something else is latched, and not this: another may have come."""
        return bool(self._latched) and not any(_alike(info, known) for known in self._latched)

    def add(self, stamp_ns: int, info: CameraInfo, arrived_s: float | None = None) -> None:
        """
        Take a calibration with its header's stamp, nanoseconds.

        :param arrived_s: by the clock of :meth:`doubt`; None: it was sent before, maybe long ago.
        """
        self._infos.append((stamp_ns, info))
        if arrived_s is None:
            others = (known for known in self._latched if not _alike(info, known))
            self._latched = (*others, info)[-self._KEPT:]
        else:
            self._streamed = info
            self._turns.add(arrived_s, info)

    @property
    def unstamped(self) -> Remark | None:
        """Return what there is to say of the newest calibration's stamp, None if it has one."""
        infos = list(self._infos)
        return UNSTAMPED if infos and not infos[-1][0] else None

    def for_image(self, stamp_ns: int | None) -> CameraInfo | None:
        """Return the calibration of an image with this stamp, None where there is none at all."""
        infos = list(self._infos)
        return next(iter(_own(infos, stamp_ns)), infos[-1][1] if infos else None)

    def own(self, stamp_ns: int) -> tuple[CameraInfo, ...]:
        """Return the calibrations of an image's very stamp, the newest first; each once."""
        found: dict[str, CameraInfo] = {}  # By its words: NaN is not equal to itself.
        for info in _own(list(self._infos), stamp_ns):
            found.setdefault(repr(info), info)
        return tuple(found.values())

    def doubt(self, stamp_ns: int | None, now_s: float) -> str:
        """
        Return in words why an image takes none of the calibrations; '' where they agree.

        Two cameras would give it the one's focal length or the other's, as it comes.
        """
        own = self.own(stamp_ns or 0)
        if len(own) > 1:
            return f'has {len(own)} different ones of one stamp: {_TWO}'
        if not own and any(count > _RETURNS for _, count in self._turns.kinds(now_s)):
            return f"has different ones in turn, and none of the image's stamp: {_TWO}"
        if not own and self._of_several():
            return (f"has different ones of several publishers, and none of the image's stamp: "
                    f'{_TWO}')
        return ''

    def _of_several(self) -> bool:
        """
        Tell whether publishers that are there now say different things.

        Each latches one, sent once, maybe long ago: the one that came last is no newer than the
        other, however often it came. Of a single publisher the last one counts, whatever it said
        before.
        """
        latched, others = self._senders
        told = list(self._latched[-latched:]) if latched else []
        if told and others and self._streamed is not None:
            told.append(self._streamed)
        return any(not _alike(told[0], other) for other in told[1:])


def _own(infos: list[tuple[int, CameraInfo]], stamp_ns: int | None) -> list[CameraInfo]:
    return [info for stamp, info in reversed(infos) if stamp_ns and stamp == stamp_ns]


def _alike(one: CameraInfo, other: CameraInfo) -> bool:
    def near(mine: Sequence[float], its: Sequence[float]) -> bool:
        return len(mine) == len(its) and all(
            a == b or math.isclose(a, b, rel_tol=_ALIKE, abs_tol=_ALIKE_PX)
            for a, b in zip(mine, its))
    return one is other or (
        (one.width, one.height, one.distortion_model, one.binning, one.roi)
        == (other.width, other.height, other.distortion_model, other.binning, other.roi)
        and near(one.k, other.k) and near(one.p, other.p))
