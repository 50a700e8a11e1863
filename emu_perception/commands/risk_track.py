# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's risk flag over a recording: the same monitor, with the recording's time as clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from emu_perception.risk import RiskMonitor, RiskReason, RiskState


class RiskTrack:
    """
    An active monitor that is told of each image and of the time between images.

    The clock is the time between neighbours of the recording: images that ``--every`` leaves out
    were there all the same, and make nothing stale.

    :param each: every image is judged by itself: above a threshold or not.
    :ivar went_stale: the state that came up in the gap before the last image, or None.
    """

    def __init__(self, monitor: RiskMonitor, *, each: bool = False) -> None:
        self._monitor, self._clock_s, self._each = monitor, 0.0, each
        if each:
            monitor.configure(raise_after=1, clear_after=1, clear_below=1.0)
        self.went_stale: RiskState | None = None
        monitor.activate()

    @property
    def stale_after_s(self) -> float:
        """Seconds without an image after which the flag is raised."""
        return self._monitor.stale_after_s

    def pass_gap(self, gap_s: float) -> None:
        """Let the time between two images pass; stills have none."""
        if self._each:
            self._monitor.activate()
            return
        before = self._monitor.state.reason
        self._clock_s += max(0.0, gap_s)
        state = self._monitor.check(self._clock_s)
        stale = state.reason is RiskReason.STALE and before is not RiskReason.STALE
        self.went_stale = state if stale else None

    def observe(self, scores: Mapping[str, float], *, reason: RiskReason = RiskReason.NONE,
                detail: str = '') -> RiskState:
        """Take in the scores of an image, and what speaks against it besides."""
        return self._monitor.observe(scores, self._clock_s, reason=reason, detail=detail)

    def fault(self, reason: RiskReason, detail: str) -> RiskState:
        """Take in an image that could not be used or inferred."""
        report = (self._monitor.unusable_input if reason is RiskReason.UNUSABLE_INPUT
                  else self._monitor.failure)
        return report(detail, self._clock_s)


class Timeline:
    """
    How long the flag was in which state: each holds until the next, the last for a period.

    :ivar raises: how often it went up after it had been down.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._last: tuple[float, RiskReason] | None = None
        self._steps: list[float] = []
        self.raises = 0

    def add(self, time_s: float, state: RiskState) -> None:
        """Take in a state from this moment on."""
        if self._last is not None:
            self.raises += state.raised and self._last[1] is RiskReason.NONE
            step = max(0.0, time_s - self._last[0])
            self._seconds[self._last[1].value] += step
            self._steps.append(step)
        self._last = (time_s, state.reason if state.raised else RiskReason.NONE)

    def shares(self) -> dict[str, float]:
        """Return the share of the time by reason; 'none' is the time without a raised flag."""
        seconds = self._held()
        total = sum(seconds.values())
        return {reason: seconds[reason] / total
                for reason in sorted(seconds, key=lambda name: -seconds[name])} if total else {}

    def raises_per_minute(self) -> float:
        """Return how often the flag went up, a minute of the recording."""
        minutes = sum(self._held().values()) / 60.0
        return self.raises / minutes if minutes else 0.0

    def _held(self) -> dict[str, float]:
        seconds = defaultdict(float, self._seconds)
        if self._last is not None:
            steps = sorted(self._steps)
            seconds[self._last[1].value] += steps[len(steps) // 2] if steps else 1.0
        return seconds
