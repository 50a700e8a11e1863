# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The risk flag in words and figures, and its thresholds: the same for the node and emu_run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emu_perception.risk import RiskReason, RiskState, RiskThresholds
from emu_perception.scores import SCORES

if TYPE_CHECKING:  # The checkpoint package needs torch, which a node may lack until configure.
    from emu_perception.checkpoint.metadata import Calibration

# Numbers for programs; they stay what they are when reasons or their words change.
CODES: dict[RiskReason, int] = {
    RiskReason.NONE: 0, RiskReason.UNCERTAIN: 1, RiskReason.INACTIVE: 10, RiskReason.NO_IMAGE: 11,
    RiskReason.STALE: 12, RiskReason.NO_CALIBRATION: 13, RiskReason.MISCALIBRATED: 14,
    RiskReason.UNUSABLE_INPUT: 20, RiskReason.FAILURE: 30}
_NOT_FAULTS = (RiskReason.NONE, RiskReason.UNCERTAIN, RiskReason.INACTIVE)
OK, WARN, ERROR = 0, 1, 2  # Of diagnostic_msgs/DiagnosticStatus.


@dataclass(frozen=True)
class Origin:
    """
    Where a threshold came from.

    :ivar words: for people and for the diagnostics.
    :ivar beyond_belief: whether the checkpoint's own was, so that a lower one is in force.
    """

    words: str
    beyond_belief: bool = False

    def __str__(self) -> str:
        """Return the words."""
        return self.words


def resolve_thresholds(own: Mapping[str, float], calibration: Calibration | None,
                       chosen: Collection[str] = ()
                       ) -> tuple[RiskThresholds, dict[str, Origin]]:
    """
    Return the thresholds in force and, by name of the score, where each came from.

    :param own: what the user sets, by name of the score; 0 or left out takes the checkpoint's, as
        far as it is believable.
    :param chosen: names of the scores that judge; none = all that have a threshold.
    """
    values: dict[str, float] = {}
    origins = {}
    for name, row in SCORES.items():
        fitted = calibration.scores.get(name) if calibration else None
        if chosen and name not in chosen:
            origins[name] = Origin('none: not in risk_scores')
        elif own.get(name):
            values[name], origins[name] = own[name], Origin('parameter')
        elif fitted is not None:
            values[name] = min(fitted.threshold, row.believable)
            origins[name] = Origin('checkpoint') if fitted.threshold <= row.believable else Origin(
                f'at most {row.believable:g}; the checkpoint has {fitted.threshold:.3g}', True)
        else:
            origins[name] = Origin('none: not judged')
    return RiskThresholds(values), origins


def unbelievable(origins: Mapping[str, Origin]) -> str:
    """Return in one line which thresholds of a checkpoint are beyond belief, or ''."""
    return '; '.join(
        f'threshold of {row.words}: {origins[name]}, by which its metres would be worth nothing: '
        f'train it longer, or set {row.parameter}'
        for name, row in SCORES.items() if name in origins and origins[name].beyond_belief)


def banner_text(state: RiskState) -> str:
    """Return the flag in a few words for people."""
    return f'RISK {state.reason.value}: {state.detail}' if state.raised else 'no risk'


def status_fields(state: RiskState, thresholds: RiskThresholds, origins: Mapping[str, Origin]
                  ) -> tuple[int, str, dict[str, str]]:
    """Return level, message and values of the node's risk_status."""
    level = OK if not state.raised else WARN if state.reason in _NOT_FAULTS else ERROR
    message = f'{"raised" if state.raised else "clear"}: {state.detail}'
    values: dict[str, object] = {
        'raised': state.raised, 'reason': state.reason.value, 'code': CODES[state.reason],
        'detail': state.detail,
        'largest_score': state.largest, 'largest_score_of': state.largest_of or None}
    values.update({row.key: state.scores.get(name) for name, row in SCORES.items()})
    for name, row in SCORES.items():
        values[row.threshold_key] = thresholds.by_score.get(name)
        values[row.origin_key] = origins.get(name, '')
    return level, message, {key: status_text(value) for key, value in values.items()}


def status_names(name: str, state: RiskState) -> tuple[str, ...]:
    """Return the names of risk_status' entries: the flag's and, raised, its reason's."""
    return (name, f'{name}: {state.reason.value}') if state.raised else (name,)


def status_text(value: object) -> str:
    """Return a value as diagnostics show it: None is 'n/a', floats are shortened."""
    if value is None:
        return 'n/a'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
