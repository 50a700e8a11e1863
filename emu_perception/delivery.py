# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Is a camera's picture delivered as its lens saw it: upright, and red where red is.

A driver that calls bgr8 what is rgb8, or a camera that hangs upside down, gives whole pictures of
which the network still makes rooms, and the flag has little against them. But it is surer of a
picture as it has learned them than of the same picture delivered otherwise. So it is asked for
both, and each score that judges votes with its ratio:

    margin = sum over scores of ln(score, delivered otherwise / score, as delivered)

Above 0 it stands as it should. One picture may err, a recording hardly (``doubt``). A mirrored
picture is a room like any other, and is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from emu_perception.scores import fitted_scores
import numpy as np

if TYPE_CHECKING:  # The node reads this before it is configured, where torch may be missing.
    from emu_perception.checkpoint import CheckpointMetadata

# Of the pictures that were asked, so many at least, so large a share of them for another
# delivery, and that by so much (the median): colourless pictures have no margin, and one scene of
# a strange camera may have a wrong one.
FEWEST, SHARE, LEAST = 10, 0.75, 0.05


@dataclass(frozen=True)
class Delivery:
    """
    One way to deliver a picture wrongly.

    :ivar name: in results.
    :ivar redo: uint8 [H, W, 3] -> the picture delivered otherwise, so that it would be right if
        it had been delivered in this way.
    :ivar words: what is wrong then.
    :ivar remedy: for people.
    :ivar keeps_size: whether the height stays the height.
    """

    name: str
    redo: Callable[[np.ndarray], np.ndarray]
    words: str
    remedy: str
    keeps_size: bool = True


def _turned(quarters: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rgb: np.ascontiguousarray(np.rot90(rgb, quarters))


_TURN = 'turn the images in the driver'
DELIVERIES: Mapping[str, Delivery] = {row.name: row for row in (
    Delivery('swapped', lambda rgb: np.ascontiguousarray(rgb[..., ::-1]),
             'red and blue are swapped',
             'look whether the driver calls rgb8 what is bgr8, or the other way round'),
    Delivery('upside_down', _turned(2), 'the images are upside down', _TURN),
    Delivery('on_left_side', _turned(3), 'the images lie on their left side', _TURN,
             keeps_size=False),
    Delivery('on_right_side', _turned(1), 'the images lie on their right side', _TURN,
             keeps_size=False),
)}


def voting(scores: Mapping[str, float], metadata: CheckpointMetadata) -> dict[str, float]:
    """Return those of an image's scores that judge by default; all of them free of the lens."""
    return {score.name: scores[score.name]
            for score in fitted_scores(metadata.tasks, metadata.statistics)
            if score.name in scores and not score.in_metres}


def margin(as_it_is: Mapping[str, float], otherwise: Mapping[str, float]) -> float:
    """
    Return by how much the network is surer of a picture as it is than delivered otherwise.

    :param as_it_is: scores of the picture, by name, free of the lens and above 0; ``otherwise``:
        the same, of the picture by :attr:`Delivery.redo`.
    :return: 0 where both are alike; NaN where a score says nothing.
    """
    ratios = [_ratio(otherwise.get(name, math.nan), value) for name, value in as_it_is.items()]
    return math.fsum(ratios) if ratios else math.nan


def _ratio(otherwise: float, as_it_is: float) -> float:
    both = (otherwise, as_it_is)
    return math.log(otherwise / as_it_is) if all(map(math.isfinite, both)) and min(both) > 0 \
        else math.nan


@dataclass(frozen=True)
class Doubt:
    """
    What a recording says against its delivery.

    :ivar share: of the pictures that speak for another; ``pictures`` of so many.
    :ivar margin: their median.
    """

    delivery: Delivery
    share: float
    pictures: int
    margin: float

    @property
    def sentence(self) -> str:
        """Return it for people."""
        return (f'{self.delivery.words}, it seems: put right, the network is surer of '
                f'{100 * self.share:.0f} % of {self.pictures} images; {self.delivery.remedy}')


def doubt(margins: Mapping[str, Sequence[float] | np.ndarray]) -> Doubt | None:
    """
    Return the other delivery for which a recording speaks most; None: it speaks for its own.

    :param margins: by name of ``DELIVERIES``, [n] of its pictures, NaN of those that say nothing.
    """
    found = []
    for name, values in margins.items():
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        if len(known) < FEWEST:
            continue
        share, median = float((known < 0).mean()), float(np.median(known))
        if share >= SHARE and median < -LEAST:
            found.append(Doubt(DELIVERIES[name], share, len(known), median))
    return min(found, key=lambda doubt: doubt.margin, default=None)
