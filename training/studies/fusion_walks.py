# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Walks through the rooms of a split with a depth camera: what the calibration watch says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

from emu_perception.fusion import CalibrationWatch
from emu_perception.fusion.joining import Compared
from emu_perception.normal_distribution import Z90
import numpy as np

# Images of changing rooms: so far apart each counts as much as any can.
APART_S = 10.0
WRONG_FROM = 40
LONG = 1000
_SETTLED = 100  # Images after the change, from where on widened intervals are counted.


@dataclass(frozen=True)
class Walk:
    """
    What the watch has said on a walk.

    :ivar raised: bool [n], of each image.
    :ivar held: share of the sensor's depths inside the widened 90 % intervals, [n].
    """

    raised: np.ndarray
    held: np.ndarray

    @property
    def raises(self) -> int:
        """Return how often it was raised."""
        before = np.concatenate([[False], self.raised[:-1]])
        return int(np.count_nonzero(self.raised & ~before))

    def delay(self, start: int) -> float:
        """Return how many images after ``start`` it is up, 1 or more; infinite: never."""
        found = np.flatnonzero(self.raised[start:])
        return float(found[0] + 1) if len(found) else math.inf


def order(rooms: Sequence[Sequence[str]], length: int, rng: np.random.Generator) -> list[str]:
    """Return the images of a walk: room after room, each whole, in another order each time."""
    stems: list[str] = []
    while len(stems) < length:
        for room in rng.permutation(len(rooms)):
            stems += rooms[room]
    return stems[:length]


def walk(views: Sequence[Mapping[str, Compared]], stems: Sequence[str], factor: float,
         rng: np.random.Generator) -> Walk:
    """
    Walk past some images; from ``WRONG_FROM`` on the network says ``factor`` times its metres.

    :param views: of seed of holes to stem to what network and sensor say.
    """
    watch, raised, held = CalibrationWatch(), [], []
    for index, stem in enumerate(stems):
        seen = views[int(rng.integers(len(views)))][stem]
        wrong = math.log(factor) if index >= WRONG_FROM else 0.0
        ratio = seen.log_ratio - np.float32(wrong)
        error = np.abs(np.expm1(ratio))
        held.append(float((error <= Z90 * watch.widening * seen.relative).mean()))
        watch = watch.after(ratio, seen.relative, APART_S if index else math.inf)
        raised.append(bool(watch.problem))
    return Walk(np.array(raised), np.array(held))


def alarms(views: Sequence[Mapping[str, Compared]], rooms: Sequence[Sequence[str]], walks: int
           ) -> dict[str, object]:
    """Return how often the watch is raised on walks where nothing is wrong."""
    rng = np.random.default_rng(0)
    found = [walk(views, order(rooms, LONG, rng), 1.0, rng) for _ in range(walks)]
    raises = [one.raises for one in found]
    return {'walks': walks, 'images': LONG, 'mean': float(np.mean(raises)), 'most': max(raises),
            'raised_share': float(np.mean([one.raised.mean() for one in found])),
            'widened_held': float(np.mean([one.held[_SETTLED:].mean() for one in found]))}


def delays(views: Sequence[Mapping[str, Compared]], rooms: Sequence[Sequence[str]], factor: float,
           within: int, walks: int) -> dict[str, object]:
    """Return how soon the watch is raised once the network is off by a factor."""
    rng = np.random.default_rng(1)
    found = [walk(views, order(rooms, WRONG_FROM + 3 * _SETTLED, rng), factor, rng)
             for _ in range(walks)]
    # What was up before tells nothing of how soon.
    fresh = [one for one in found if not one.raised[WRONG_FROM - 1]]
    after = np.array([one.delay(WRONG_FROM) for one in fresh])
    middle, late = ((float(value) for value in np.quantile(after, (0.5, 0.95), method='higher'))
                    if fresh else (math.inf, math.inf))
    return {'factor': factor, 'walks': len(fresh), 'within': within,
            'share_within': float((after <= within).mean()) if fresh else None,
            'median': middle if math.isfinite(middle) else None,
            'p95': late if math.isfinite(late) else None,
            'widened_held': float(np.mean([one.held[WRONG_FROM + _SETTLED:].mean()
                                           for one in found]))}
