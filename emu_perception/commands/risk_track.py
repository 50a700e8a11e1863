# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node's risk flag over a recording: the same monitor, with the recording's time as clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from emu_perception.checkpoint import Calibration
from emu_perception.risk import RiskMonitor, RiskReason, RiskState, RiskThresholds

_NOT_FAULTS = (RiskReason.NONE, RiskReason.UNCERTAIN, RiskReason.INACTIVE)
OK, WARN, ERROR = 0, 1, 2  # Of diagnostic_msgs/DiagnosticStatus.


def resolve_thresholds(segmentation: float, depth: float, calibration: Calibration
                       ) -> tuple[RiskThresholds, dict[str, str]]:
    """
    Return the thresholds in force and, by task, where each came from.

    :param segmentation: nats, ``depth`` metres; 0 takes the checkpoint's.
    """
    values: dict[str, float | None] = {}
    sources = {}
    for task, own in (('segmentation', segmentation), ('depth', depth)):
        values[task] = own or getattr(calibration, f'risk_{task}')
        sources[task] = ('parameter' if own else
                         'none: not judged' if values[task] is None else 'checkpoint')
    return RiskThresholds(**values), sources


class RiskTrack:
    """
    An active monitor that is told of each image and of the time between images.

    The clock is the time between neighbours of the recording: images that ``--every`` leaves out
    were there all the same, and make nothing stale.

    :ivar went_stale: the state that came up in the gap before the last image, or None.
    """

    def __init__(self, monitor: RiskMonitor) -> None:
        self._monitor, self._clock_s = monitor, 0.0
        self.went_stale: RiskState | None = None
        monitor.activate()

    @property
    def stale_after_s(self) -> float:
        """Seconds without an image after which the flag is raised."""
        return self._monitor.stale_after_s

    def pass_gap(self, gap_s: float) -> None:
        """Let the time between two images pass."""
        before = self._monitor.state.reason
        self._clock_s += max(0.0, gap_s)
        state = self._monitor.check(self._clock_s)
        stale = state.reason is RiskReason.STALE and before is not RiskReason.STALE
        self.went_stale = state if stale else None

    def observe(self, entropy: float | None, sigma: float | None) -> RiskState:
        """Take in the means of an image, nats and metres."""
        return self._monitor.observe(entropy, sigma, self._clock_s)

    def fault(self, reason: RiskReason, detail: str) -> RiskState:
        """Take in an image that could not be used or inferred."""
        report = (self._monitor.unusable_input if reason is RiskReason.UNUSABLE_INPUT
                  else self._monitor.failure)
        return report(detail, self._clock_s)


class Timeline:
    """How long the flag was in which state: each holds until the next, the last for a period."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._last: tuple[float, RiskReason] | None = None
        self._steps: list[float] = []

    def add(self, time_s: float, state: RiskState) -> None:
        """Take in a state from this moment on."""
        if self._last is not None:
            step = max(0.0, time_s - self._last[0])
            self._seconds[self._last[1].value] += step
            self._steps.append(step)
        self._last = (time_s, state.reason if state.raised else RiskReason.NONE)

    def shares(self) -> dict[str, float]:
        """Return the share of the time by reason; 'none' is the time without a raised flag."""
        seconds = defaultdict(float, self._seconds)
        if self._last is not None:
            steps = sorted(self._steps)
            seconds[self._last[1].value] += steps[len(steps) // 2] if steps else 1.0
        total = sum(seconds.values())
        return {reason: seconds[reason] / total
                for reason in sorted(seconds, key=lambda name: -seconds[name])} if total else {}


def banner_text(state: RiskState) -> str:
    """Return the flag in a few words for people."""
    return f'RISK {state.reason.value}: {state.detail}' if state.raised else 'no risk'


def status_fields(state: RiskState, thresholds: RiskThresholds, sources: Mapping[str, str]
                  ) -> tuple[int, str, dict[str, str]]:
    """Return level, message and values of the node's risk_status."""
    level = OK if not state.raised else WARN if state.reason in _NOT_FAULTS else ERROR
    message = f'{"raised" if state.raised else "clear"}: {state.detail}'
    return level, message, {key: _text(value) for key, value in {
        'raised': state.raised, 'reason': state.reason.value, 'detail': state.detail,
        'mean_segmentation_uncertainty_nat': state.mean_segmentation_entropy,
        'mean_depth_uncertainty_m': state.mean_depth_sigma,
        'threshold_segmentation_nat': thresholds.segmentation,
        'threshold_segmentation_from': sources.get('segmentation', ''),
        'threshold_depth_m': thresholds.depth,
        'threshold_depth_from': sources.get('depth', '')}.items()}


def _text(value: object) -> str:
    if value is None:
        return 'n/a'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
