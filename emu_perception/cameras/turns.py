# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what comes on one topic changes to and fro, as where two cameras send in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import eq
from typing import Generic, TypeVar

T = TypeVar('T')

# A camera that is set otherwise, or zooms, comes back to what it was once or so in that time.
WITHIN_S = 5.0
_KEPT = 64


class Turns(Generic[T]):
    """
    Follows the changes; may be filled by one thread and asked by another.

    :param alike: whether two things are of one kind.
    """

    def __init__(self, alike: Callable[[T, T], bool] = eq) -> None:
        """Begin with nothing."""
        self._alike = alike
        # Those that were another kind than that before, with when they came.
        self._changes: deque[tuple[float, T]] = deque(maxlen=_KEPT)

    def add(self, at_s: float, thing: T) -> None:
        """Take what came, seconds of any clock."""
        if not (self._changes and self._alike(self._changes[-1][1], thing)):
            self._changes.append((at_s, thing))

    def kinds(self, now_s: float) -> list[tuple[T, int]]:
        """Return the kinds of the last seconds, each with how often it came anew, most first."""
        changes = list(self._changes)
        first = next((i for i, (at_s, _) in enumerate(changes) if now_s - at_s <= WITHIN_S),
                     len(changes))
        kinds: list[tuple[T, int]] = []
        for _, thing in changes[max(0, first - 1):]:  # The one before was there when they began.
            index = next((i for i, (kind, _) in enumerate(kinds) if self._alike(kind, thing)),
                         None)
            if index is None:
                kinds.append((thing, 1))
            else:
                kinds[index] = (kinds[index][0], kinds[index][1] + 1)
        return sorted(kinds, key=lambda kind: -kind[1])
