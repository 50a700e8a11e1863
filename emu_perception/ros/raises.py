# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How often the risk flag goes up: one that flaps is one that nobody heeds for long."""

from __future__ import annotations

from collections import deque

_WINDOW_S = 60.0


class Raises:
    """
    Counts how often a flag goes from lowered to raised; ``now_s`` is of the steady clock.

    :ivar total: since the start.
    """

    def __init__(self) -> None:
        """Begin raised, with nothing counted."""
        self.total = 0
        self._raised = True
        self._times: deque[float] = deque()

    def begin(self) -> None:
        """Begin anew, raised: that a flag is raised while nobody looks is no alarm."""
        self._raised = True

    def note(self, raised: bool, now_s: float) -> None:
        """Take in the flag after an event."""
        if raised and not self._raised:
            self.total += 1
            self._times.append(now_s)
        self._raised = raised

    def last_minute(self, now_s: float) -> int:
        """Return how often it went up within the last minute."""
        while self._times and now_s - self._times[0] > _WINDOW_S:
            self._times.popleft()
        return len(self._times)
