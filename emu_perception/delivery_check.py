# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask whether a recording's pictures are as they should be."""

from __future__ import annotations

from typing import ClassVar

from emu_perception.delivery import DELIVERIES, Doubt, doubt, margin, voting
from emu_perception.familiarity import FittedScores
from emu_perception.observer import Observer, Seen
from emu_perception.shading import corner_light, dark_corners
import numpy as np


class DeliveryCheck:
    """
    Gathers what ``emu_perception.delivery`` and ``shading`` judge by, picture by picture.

    :param fitted: the checkpoint's.
    :cvar PICTURES: of a recording, about so many are enough.
    :ivar margins: by name of ``DELIVERIES``, one a picture; ``corners``: their light.
    """

    PICTURES: ClassVar[int] = 30

    def __init__(self, observer: Observer, fitted: FittedScores) -> None:
        self._observer, self._fitted = observer, fitted
        self.margins: dict[str, list[float]] = {name: [] for name in DELIVERIES}
        self.corners: list[np.ndarray] = []

    def see(self, view: np.ndarray, seen: Seen) -> None:
        """
        Ask for one picture as it would be, had it been delivered otherwise.

        :param view: uint8 [H, W, 3], rgb; ``seen``: what the network gave for it.
        """
        self.corners.append(corner_light(view))
        own = self._scores(seen)
        for name, delivery in DELIVERIES.items():
            self.margins[name].append(
                margin(own, self._scores(self._observer(delivery.redo(view)))))

    @property
    def doubt(self) -> Doubt | None:
        """Return what speaks against their delivery."""
        return doubt(self.margins)

    @property
    def problem(self) -> str:
        """Return all that speaks against the pictures, for people; '' where nothing does."""
        delivered = self.doubt.sentence if self.doubt else ''
        return '; '.join(filter(None, (delivered, dark_corners(self.corners))))

    def _scores(self, seen: Seen) -> dict[str, float]:
        fitted = self._fitted.measure(seen.statistics, seen.scores)
        return voting({**seen.scores, **fitted}, self._observer.metadata)
