# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The risk flag in words and figures, and its thresholds: the same for the node and emu_run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emu_perception.risk import RiskReason, RiskState, RiskThresholds

if TYPE_CHECKING:  # The checkpoint module needs torch, which a node may lack until configure.
    from emu_perception.checkpoint import Calibration

_NOT_FAULTS = (RiskReason.NONE, RiskReason.UNCERTAIN, RiskReason.INACTIVE)
OK, WARN, ERROR = 0, 1, 2  # Of diagnostic_msgs/DiagnosticStatus.


def resolve_thresholds(segmentation: float, depth: float, calibration: Calibration | None
                       ) -> tuple[RiskThresholds, dict[str, str]]:
    """
    Return the thresholds in force and, by task, where each came from.

    :param segmentation: nats, ``depth`` metres; 0 takes the checkpoint's.
    """
    values: dict[str, float | None] = {}
    sources = {}
    for task, own in (('segmentation', segmentation), ('depth', depth)):
        values[task] = own or getattr(calibration, f'risk_{task}', None)
        sources[task] = ('parameter' if own else
                         'none: not judged' if values[task] is None else 'checkpoint')
    return RiskThresholds(**values), sources


def banner_text(state: RiskState) -> str:
    """Return the flag in a few words for people."""
    return f'RISK {state.reason.value}: {state.detail}' if state.raised else 'no risk'


def status_fields(state: RiskState, thresholds: RiskThresholds, sources: Mapping[str, str]
                  ) -> tuple[int, str, dict[str, str]]:
    """Return level, message and values of the node's risk_status."""
    level = OK if not state.raised else WARN if state.reason in _NOT_FAULTS else ERROR
    message = f'{"raised" if state.raised else "clear"}: {state.detail}'
    return level, message, {key: status_text(value) for key, value in {
        'raised': state.raised, 'reason': state.reason.value, 'detail': state.detail,
        'mean_segmentation_uncertainty_nat': state.mean_segmentation_entropy,
        'mean_depth_uncertainty_m': state.mean_depth_sigma,
        'threshold_segmentation_nat': thresholds.segmentation,
        'threshold_segmentation_from': sources.get('segmentation', ''),
        'threshold_depth_m': thresholds.depth,
        'threshold_depth_from': sources.get('depth', '')}.items()}


def status_text(value: object) -> str:
    """Return a value as diagnostics show it: None is 'n/a', floats are shortened."""
    if value is None:
        return 'n/a'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
