# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint holds of a promise: constants by level, and how many rooms they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any


@dataclass(frozen=True)
class PromiseLevel:
    """
    The constants of one level.

    :ivar level: share of the pixels that the map holds for, above 0 and below 1.
    :ivar factors: what the map is made with, none negative; as many as its row says. 0 is a set of
        the likeliest class alone, where that is right often enough.
    :ivar promised: whether there were rooms enough to promise it; else it is what held in these
        rooms, and no more.
    """

    level: float
    factors: tuple[float, ...]
    promised: bool


@dataclass(frozen=True)
class Promise:
    """
    A promised map's constants.

    :ivar levels: in rising order, each once.
    :ivar groups: rooms (runs of neighbouring frames) that they are fitted to.
    :ivar fitted_on: the images: ``data_set``, ``split``, how many ``images``.
    """

    levels: tuple[PromiseLevel, ...]
    groups: int
    fitted_on: Mapping[str, Any] = field(default_factory=dict)

    def at(self, level: float) -> PromiseLevel | None:
        """Return the constants of a level; None where it was not fitted."""
        return next((one for one in self.levels
                     if math.isclose(one.level, level, abs_tol=1e-6)), None)

    @property
    def words(self) -> str:
        """Return the levels that there are."""
        return ', '.join(f'{one.level:g}' for one in self.levels)


def most_promised(groups: int) -> float:
    """
    Return the highest level that so many rooms can promise: K / (K + 1).

    A new room is as likely as each of them to be the worst of all K + 1, and nothing is known of
    how bad that is.
    """
    return groups / (groups + 1)
