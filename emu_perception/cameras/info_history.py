# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The newest calibrations of a camera, and which of them an image takes."""

from __future__ import annotations

from collections import deque

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.plausibility import Remark

UNSTAMPED = Remark('unstamped', 'has stamp 0: the newest counts, which may be of another image '
                   'where the lens zooms; have the driver stamp it as its image')

_TWO = 'two cameras send there; give each a topic of its own'
_IN_TURN = 2  # Returns to another one: a lens zooms in and out again, but not twice at once.
_AT_ONCE_NS = 5 * 10**9


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

    def add(self, stamp_ns: int, info: CameraInfo) -> None:
        """Take a calibration with its header's stamp, nanoseconds."""
        if self._infos and self._infos[-1][1] == info:
            info = self._infos[-1][1]  # The one object is compared at once.
        self._infos.append((stamp_ns, info))

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

    def doubt(self, stamp_ns: int | None) -> str:
        """Return in words why an image takes none of the calibrations; '' where they agree."""
        own = self.own(stamp_ns or 0)
        if len(own) > 1:
            return f'has {len(own)} different ones of one stamp: {_TWO}'
        if not own and _returns(list(self._infos)) >= _IN_TURN:
            return f"has different ones in turn, and none of the image's stamp: {_TWO}"
        return ''


def _own(infos: list[tuple[int, CameraInfo]], stamp_ns: int | None) -> list[CameraInfo]:
    return [info for stamp, info in reversed(infos) if stamp_ns and stamp == stamp_ns]


def _returns(infos: list[tuple[int, CameraInfo]]) -> int:
    """Count how often one comes again after another, lately."""
    newest = infos[-1][0] if infos else 0
    seen: list[CameraInfo] = []
    told: set[tuple[int, int]] = set()
    count, last = 0, None
    for stamp, info in infos:
        if stamp and newest and abs(newest - stamp) > _AT_ONCE_NS:
            continue
        if info not in seen:
            seen.append(info)
        elif info != last and (stamp, seen.index(info)) not in told:
            count += 1
        if stamp:  # A latched one is heard twice.
            told.add((stamp, seen.index(info)))
        last = info
    return count
