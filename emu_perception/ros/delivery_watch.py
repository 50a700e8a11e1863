# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask, in the first minutes of a drive, whether the camera's images stand as they should."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import math
from typing import TYPE_CHECKING

import cv2
from emu_perception.delivery import DELIVERIES, doubt, margin, voting
import numpy as np

if TYPE_CHECKING:  # The checkpoint module needs torch, which a node may lack until configure.
    from emu_perception.checkpoint import CheckpointMetadata

PERIOD_S = 2.0  # Between two questions: each costs the next image the time of an inference.
PICTURES = 20  # For each delivery: of so many is known what they say (training.studies.delivery).
SLOWEST_S = 0.2  # Of an inference; behind a slower one a question would make the flag late.
# Mean difference in grey levels, of pictures of 16x12, from all that were asked before: a robot
# that stands still has one picture, however long. Its noise makes less than 1.
MOVED = 3.0
_SMALL = (16, 12)
_ASKED = tuple(row for row in DELIVERIES.values() if row.keeps_size)

Scores = Mapping[str, float]


class DeliveryWatch:
    """
    Compares images with themselves, delivered otherwise; for the worker's thread.

    What it finds is a warning and no risk: what the network makes of such images is judged by its
    scores. Only deliveries of the image's own size are asked for: the network would have to be
    made ready for another.

    :ivar problem: what it found, a sentence; '' while it found nothing.
    """

    def __init__(self) -> None:
        """Begin."""
        self.begin()

    def begin(self) -> None:
        """Forget all: there may be another camera now, or another network."""
        self.problem = ''
        self._seen: list[np.ndarray] = []
        self._margins: dict[str, list[float]] = {}
        self._next_s = math.nan
        self._ended = False

    def see(self, rgb: np.ndarray, metadata: CheckpointMetadata,
            ask: Callable[[np.ndarray], Scores], *, own: Scores | None, took_s: float,
            now_s: float) -> str:
        """
        Take in an image that was answered, and ask for another delivery of it if it is time.

        :param rgb: uint8 [H, W, 3], as the network was shown it.
        :param ask: returns the scores of a whole image.
        :param own: those of this one; None = ask for them too.
        :param took_s: so long the network took; ``now_s`` is of the steady clock.
        :return: the problem, when it is found; else ''.
        """
        if math.isnan(self._next_s):  # Not the first images: everybody waits for their flag.
            self._next_s = now_s + PERIOD_S
        if self._ended or now_s < self._next_s:
            return ''
        self._next_s = now_s + PERIOD_S
        # Without fitted scores nobody knows what the others are worth for it.
        if not metadata.statistics or took_s > SLOWEST_S:
            return ''
        small = cv2.resize(rgb, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
        if any(np.abs(small - other).mean() < MOVED for other in self._seen):
            return ''
        row = _ASKED[len(self._seen) % len(_ASKED)]
        self._seen.append(small)
        self._margins.setdefault(row.name, []).append(margin(
            voting(ask(rgb) if own is None else own, metadata),
            voting(ask(row.redo(rgb)), metadata)))
        if len(self._seen) < PICTURES * len(_ASKED):
            return ''
        self._ended = True
        found = doubt({name: np.array(values) for name, values in self._margins.items()})
        self.problem = found.sentence if found else ''
        return self.problem
