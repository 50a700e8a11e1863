# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The clock that silence is measured by: the steady one, or a simulation's while it runs."""

from __future__ import annotations

# A simulated clock that has not moved for this long, steady seconds, has stopped.
_STOPPED_S = 0.5


class WatchClock:
    """
    Counts seconds that never run backwards.

    By the steady clock; under use_sim_time by /clock while that advances, so that a simulation
    slower than the world is not silent, and by the steady clock again once /clock has stopped, so
    that the silence of one that hangs is noticed.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self._now_s = 0.0
        self._steady_s: float | None = None
        self._sim_ns: int | None = None
        self._still_s = 0.0

    def advance(self, steady_s: float, sim_ns: int | None) -> tuple[float, float]:
        """
        Return the seconds counted, and by how many seconds /clock has jumped back since.

        :param steady_s: the steady clock.
        :param sim_ns: /clock; None where the node does not use it, 0 before it has begun.
        """
        step_s = 0.0 if self._steady_s is None else max(0.0, steady_s - self._steady_s)
        before, self._steady_s, self._sim_ns = self._sim_ns, steady_s, sim_ns
        jumped_back_s = 0.0
        if sim_ns is None:
            self._now_s += step_s
            self._still_s = 0.0
        elif not before or sim_ns == before:
            self._stand_still(step_s)
        else:
            self._still_s = 0.0
            self._now_s += max(0, sim_ns - before) * 1e-9
            jumped_back_s = max(0, before - sim_ns) * 1e-9
        return self._now_s, jumped_back_s

    def _stand_still(self, step_s: float) -> None:
        before_s, self._still_s = self._still_s, self._still_s + step_s
        if self._still_s > _STOPPED_S:
            # What passed before it was known to have stopped counts too.
            self._now_s += step_s if before_s > _STOPPED_S else self._still_s
