# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a depth camera's metres change to and fro while the picture beside them stays.

So do those of two depth cameras on one topic, which no header may tell. Whatever else it is, such
hints contradict each other. What a robot's own motion changes to and fro, it changes in the
picture too; pixels that are seen at times only, as with an emitter that switches, tell nothing.
Of NYUv2's 795 pictures and the D435's 24, in their order, not one is a return.
"""

from __future__ import annotations

from collections import deque

from emu_perception.cameras.two_views import ALIKE, small_picture
import numpy as np

# So many returns within so many seconds; no hint is believed for as long after the last.
_RETURNS, WITHIN_S = 3, 5.0
# Median of |log(depth / depth before)|: of two views, of a view with itself.
_JUMP, _BACK = 0.15, 0.05
_ROWS, _COLUMNS = 24, 32
_FEWEST = 40  # Of these samples, seen in both.
_BEFORE = 4  # Hints, the one before among them.


class HintsInTurn:
    """Follows the hints of successive images."""

    def __init__(self) -> None:
        """Begin without a hint."""
        self._last: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_BEFORE)
        self._returns: deque[float] = deque(maxlen=_RETURNS)
        self._until_s = -np.inf

    def see(self, depth: np.ndarray, picture: np.ndarray, now_s: float) -> str:
        """
        Take a hint, and return in one line why the last ones contradict each other, '' else.

        :param depth: float32 [H, W], metres; +inf where nothing is seen.
        :param picture: uint8 [h, w, 3], beside it.
        :param now_s: any clock, seconds.
        """
        small = small_picture(picture)
        if small is not None:
            samples = _samples(depth)
            apart = [_difference(samples, other) for other, _ in self._last]
            if (apart and apart[-1] > _JUMP and min(apart) < _BACK
                    and float((small * self._last[-1][1]).sum()) > ALIKE):
                self._returns.append(now_s)
                if len(self._returns) == _RETURNS and now_s - self._returns[0] <= WITHIN_S:
                    self._until_s = now_s + WITHIN_S
            self._last.append((samples, small))
        return '' if now_s > self._until_s else (
            'its metres change to and fro while the picture stays: do two depth cameras send '
            'there? Give each a topic of its own')


def _samples(depth: np.ndarray) -> np.ndarray:
    """Return some of the depths as logarithms, NaN where nothing is seen."""
    rows, columns = (np.linspace(0, size - 1, min(size, count)).round().astype(int)
                     for size, count in zip(depth.shape, (_ROWS, _COLUMNS)))
    found = depth[np.ix_(rows, columns)]
    return np.log(np.where((found > 0) & np.isfinite(found), found, np.nan))


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the median of |log ratio| where both see something; NaN where hardly anywhere."""
    if one.shape != other.shape:
        return np.nan
    apart = np.abs(one - other)
    apart = apart[~np.isnan(apart)]
    return float(np.median(apart)) if len(apart) >= _FEWEST else np.nan
