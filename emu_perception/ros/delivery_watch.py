# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask, in the first minutes of a drive, whether the camera's images are as they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import math
from typing import TYPE_CHECKING

import cv2
from emu_perception.delivery import DELIVERIES, doubt, margin, voting
from emu_perception.shading import corner_light, dark_corners
import numpy as np

if TYPE_CHECKING:  # The checkpoint module needs torch, which a node may lack until configure.
    from emu_perception.checkpoint import CheckpointMetadata

PERIOD_S = 2.0  # Between two questions: each costs the next image the time of an inference.
# For each delivery, and for the corners: of so many is known what they say
# (training.studies.delivery).
PICTURES = 20
# Of an inference; behind a slower one a question would make the flag late: of a second, or of what
# the user has the flag wait at most, so large a part.
SLOWEST_S, PART = 0.2, 0.2
# Mean difference in grey levels, of pictures of 16x12, from all that were asked before: a robot
# that stands still has one picture, however long. Its noise makes less than 1.
MOVED = 3.0
_SMALL = (16, 12)
_ASKED = tuple(row for row in DELIVERIES.values() if row.keeps_size)
_QUESTIONS = PICTURES * len(_ASKED)

Scores = Mapping[str, float]


@dataclass
class _Drive:
    """
    What is known since the watch began.

    :ivar seen: small pictures, each another than those before; ``corners``: their light.
    """

    seen: list[np.ndarray] = field(default_factory=list)
    corners: list[np.ndarray] = field(default_factory=list)
    margins: dict[str, list[float]] = field(default_factory=dict)
    shaded: str = ''
    delivered: str = ''
    next_s: float = math.nan

    @property
    def asked(self) -> int:
        """Return how many questions the network has answered."""
        return sum(map(len, self.margins.values()))

    @property
    def ended(self) -> bool:
        """Return whether all is known."""
        return self.asked >= _QUESTIONS


class DeliveryWatch:
    """
    Compares images with themselves, delivered otherwise, and their corners with their middle.

    For the worker's thread.

    What it finds is a warning and no risk: what the network makes of such images is judged by its
    scores. Only deliveries of the image's own size are asked for: the network would have to be
    made ready for another.

    What it costs: one question, one inference (two where ``own`` is None) each ``PERIOD_S``, of
    this camera's next image. Another camera that shares the network waits no longer than it does
    beside an image: its turn comes after one inference of each of the others (``FairLock``).
    """

    def __init__(self) -> None:
        """Begin."""
        self._drive = _Drive()

    @property
    def problem(self) -> str:
        """Return what it found, for people; '' while it found nothing. For any thread."""
        return '; '.join(filter(None, (self._drive.delivered, self._drive.shaded)))

    def begin(self) -> None:
        """Forget all: there may be another camera now, or another network. For any thread."""
        self._drive = _Drive()  # An image still in work goes on with the one of before.

    def see(self, rgb: np.ndarray, metadata: CheckpointMetadata,
            ask: Callable[[np.ndarray], Scores], *, own: Scores | None, took_s: float,
            waits_s: float, now_s: float) -> str:
        """
        Take in an image that was answered, and ask for another delivery of it if it is time.

        :param rgb: uint8 [H, W, 3], as the network was shown it.
        :param ask: returns the scores of a whole image.
        :param own: those of this one; None = ask for them too.
        :param took_s: so long the network took; ``waits_s``: after so long without an image, or
            with one so old, the flag is raised; ``now_s`` is of the steady clock.
        :return: a problem, when it is found; else ''.
        """
        drive = self._drive
        if math.isnan(drive.next_s):  # Not the first images: everybody waits for their flag.
            drive.next_s = now_s + PERIOD_S
        if drive.ended or now_s < drive.next_s:
            return ''
        drive.next_s = now_s + PERIOD_S
        # Without fitted scores nobody knows what the others are worth for it.
        asks = bool(metadata.statistics) and took_s <= min(SLOWEST_S, PART * waits_s)
        if not asks and len(drive.corners) >= PICTURES:
            return ''
        small = cv2.resize(rgb, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        if any(np.abs(small - other).mean() < MOVED for other in drive.seen):
            return ''
        drive.seen.append(small)
        found = [self._corners(drive, rgb)]
        if asks:
            found.append(self._delivery(drive, rgb, metadata, ask, own))
        # Of another drive by now, maybe.
        return '; '.join(filter(None, found)) if drive is self._drive else ''

    @staticmethod
    def _corners(drive: _Drive, rgb: np.ndarray) -> str:
        if len(drive.corners) >= PICTURES:
            return ''
        drive.corners.append(corner_light(rgb))
        if len(drive.corners) == PICTURES:
            drive.shaded = dark_corners(drive.corners)
        return drive.shaded

    @staticmethod
    def _delivery(drive: _Drive, rgb: np.ndarray, metadata: CheckpointMetadata,
                  ask: Callable[[np.ndarray], Scores], own: Scores | None) -> str:
        row = _ASKED[drive.asked % len(_ASKED)]
        drive.margins.setdefault(row.name, []).append(margin(
            voting(ask(rgb) if own is None else own, metadata),
            voting(ask(row.redo(rgb)), metadata)))
        if drive.asked == _QUESTIONS:
            found = doubt(drive.margins)
            drive.delivered = found.sentence if found else ''
        return drive.delivered
