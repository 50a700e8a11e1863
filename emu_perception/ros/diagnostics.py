# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself on /diagnostics and ~/risk_status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from emu_perception.risk import RiskState, RiskThresholds
from emu_perception.risk_status import (
    ERROR,
    Origin,
    status_fields,
    status_text,
    unbelievable,
)
from emu_perception.ros.node_statistics import Snapshot
from emu_perception.ros.predictor_pool import SharedPredictor
from emu_perception.scores import SCORES
from std_msgs.msg import Header

if TYPE_CHECKING:  # the checkpoint package needs torch, which may be missing until configure
    from emu_perception.checkpoint.metadata import Calibration

DROP_CAUSES = ('newer_image', 'publishing_behind', 'same_stamp', 'unusable_input', 'failure',
               'deactivated')
_HANGS_AFTER_S = 5.0


@dataclass(frozen=True)
class Health:
    """
    What the node knows of itself at one moment; an empty problem is none.

    :ivar state: 'unconfigured', 'inactive' or 'active'.
    :ivar configure_problem: why the last configure failed.
    :ivar swap_problem: why the last swap of the model failed; the old one runs on.
    :ivar loading: the model that is being loaded beside the running one.
    :ivar input_problem: why no image comes.
    :ivar camera_problem: why there is no camera.
    :ivar camera_warnings: what is odd about its camera_info.
    :ivar fallback: whether the camera is made of ``fallback_hfov_deg``.
    :ivar rectifying: how the images are rectified here; '' where they are not.
    :ivar metres_withheld: which topics are withheld, and why.
    :ivar warnings: what is odd about the images or their camera_info and may pass for good.
    :ivar lost_before: images that the middleware lost or overwrote before the node saw them;
        None where it does not tell.
    :ivar raises: how often the flag went up, in all and in the last minute.
    :ivar consumer_timeout_s: after which a consumer takes silence for risk.
    :ivar hints: what became of a depth camera's images; empty where none is joined in.
    :ivar name_problem: who else publishes on the flag's topic.
    :ivar model: name, device, calibration and the like, for people.
    """

    state: str
    image_topic: str
    camera_info_topic: str
    risk: RiskState
    thresholds: RiskThresholds
    threshold_sources: Mapping[str, Origin] = field(default_factory=dict)
    configure_problem: str = ''
    swap_problem: str = ''
    loading: str = ''
    input_problem: str = ''
    camera_problem: str = ''
    camera_warnings: str = ''
    fallback: bool = False
    rectifying: str = ''
    metres_withheld: str = ''
    warnings: str = ''
    lost_before: int | None = None
    recent_drops: Mapping[str, int] = field(default_factory=dict)
    model: dict[str, object] = field(default_factory=dict)
    raises: tuple[int, int] = (0, 0)
    name_problem: str = ''
    consumer_timeout_s: float = 1.0
    hints: dict[str, object] = field(default_factory=dict)


def diagnostic_array(name: str, stamp: Time, snapshot: Snapshot, health: Health
                     ) -> DiagnosticArray:
    """Make the message for /diagnostics; each status is named '<name>: <part>'."""
    parts = [_input(name, snapshot, health), _inference(name, snapshot, health),
             _risk(name, health), _model(name, health)]
    for part in parts:
        part.hardware_id = health.image_topic  # the camera: two nodes may share one GPU
    return DiagnosticArray(header=Header(stamp=stamp), status=parts)


def risk_status(name: str, state: RiskState, thresholds: RiskThresholds,
                sources: Mapping[str, Origin]) -> DiagnosticStatus:
    """Make the status that gives the flag its reason and figures."""
    level, message, values = status_fields(state, thresholds, sources)
    return status(name, bytes([level]), message, values)


def status(name: str, level: bytes, message: str, values: Mapping[str, object]
           ) -> DiagnosticStatus:
    """Make one status; None becomes 'n/a', floats are shortened."""
    return DiagnosticStatus(name=name, level=level, message=message, values=[
        KeyValue(key=key, value=status_text(value)) for key, value in values.items()])


def model_values(path: Path, predictor: SharedPredictor, converter: str) -> dict[str, object]:
    """Return what the diagnostics say of a model: file, device really used, calibration."""
    metadata, calibration = predictor.metadata, predictor.metadata.calibration
    return {
        'model_file': path, 'model_name': metadata.name, 'tasks': ', '.join(metadata.tasks),
        'device': predictor.device_description, 'precision': predictor.precision,
        'backend': predictor.backend, 'backend_refused': '; '.join(predictor.backend_notes),
        'input_size': '{}x{}'.format(*metadata.input_size),
        'depth_variance': None if 'depth' not in metadata.tasks else
        "each pixel's" if metadata.pixel_variance else "the task's noise",
        'temperature': calibration.temperature, 'variance_scale': calibration.variance_scale,
        **{row.calibrated_key: calibration.thresholds.get(name) for name, row in SCORES.items()},
        'calibrated_risk_percentile': _percentiles(calibration),
        'training_fx': getattr(metadata.intrinsics, 'fx', None), 'converter': converter}


def _percentiles(calibration: Calibration) -> float | str | None:
    """Return the percentile of the thresholds, or each where they differ."""
    found = {name: fitted.percentile for name, fitted in calibration.scores.items()
             if fitted.percentile is not None}
    if len(set(found.values())) <= 1:
        return next(iter(found.values()), None)
    return ', '.join(f'{name} {value:.4g}' for name, value in found.items())


def _input(name: str, snapshot: Snapshot, health: Health) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, health.state
    if health.state == 'active':
        message = 'images arrive'
        if health.input_problem:
            level, message = DiagnosticStatus.ERROR, health.input_problem
        elif health.recent_drops.get('unusable_input'):
            level, message = DiagnosticStatus.ERROR, snapshot.errors.get('unusable_input', '')
        elif snapshot.image_age_s is None:
            message = 'waiting for the first image'
        elif health.metres_withheld:
            level, message = DiagnosticStatus.ERROR, health.metres_withheld
        elif health.camera_problem:
            level, message = DiagnosticStatus.WARN, health.camera_problem
        elif health.recent_drops.get('same_stamp'):
            level, message = DiagnosticStatus.WARN, snapshot.errors.get('same_stamp', '')
        elif health.warnings:
            level, message = DiagnosticStatus.WARN, health.warnings
    used = 'fallback_hfov_deg' if health.fallback else 'used'
    values: dict[str, object] = {
        'image_topic': health.image_topic, 'camera_info_topic': health.camera_info_topic,
        'camera_info': health.camera_problem or (used if health.state == 'active' else 'n/a'),
        'camera_info_warnings': health.camera_warnings or 'none',
        'rectified_here': health.rectifying or 'no',
        'withheld': health.metres_withheld or 'none', 'warnings': health.warnings or 'none',
        'input_rate_hz': snapshot.input_rate_hz, 'image_age_s': snapshot.image_age_s,
        'received': snapshot.counts['received'], 'lost_before_node': health.lost_before,
        **health.hints}
    return status(f'{name}: input', level, message, values)


def _inference(name: str, snapshot: Snapshot, health: Health) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, health.state
    if health.recent_drops.get('failure'):
        level, message = DiagnosticStatus.ERROR, snapshot.errors.get('failure', '')
    else:
        for thread, in_work_s in snapshot.in_work_s.items():
            if in_work_s > _HANGS_AFTER_S:
                level = DiagnosticStatus.ERROR
                message = (f'one image has been in work for {in_work_s:.0f} s: the {thread} hangs')
    late_s = snapshot.flag_latency_p95_s
    if level == DiagnosticStatus.OK and late_s is not None and (
            late_s > health.consumer_timeout_s / 2):
        level, message = DiagnosticStatus.WARN, (
            f'the flag comes late: {late_s:.2f} s after its image (95th percentile) is above half '
            f'of consumer_timeout_s, {health.consumer_timeout_s:g} s')
    values: dict[str, object] = {
        'state': health.state, 'processed': snapshot.counts['processed'],
        'output_rate_hz': snapshot.output_rate_hz,
        'image_to_flag_s_p95': late_s, 'withheld_by_gate': snapshot.counts['withheld'],
        'withheld_too_little_known': snapshot.counts['too_little_known'],
        'in_work_s': max(snapshot.in_work_s.values(), default=None)}
    # Always there, so that a logger of diagnostics has its columns from the first message on.
    for key in ('processing_time_ms', 'cyclic_time_ms', 'pipeline_latency_ms'):
        values[key] = snapshot.times_ms.get(key)
    values.update(snapshot.times_ms)
    for cause in DROP_CAUSES:
        values[f'dropped_{cause}'] = snapshot.drops.get(cause, 0)
    values['last_error'] = snapshot.last_error
    return status(f'{name}: inference', level, message, values)


def _risk(name: str, health: Health) -> DiagnosticStatus:
    level, message, values = status_fields(health.risk, health.thresholds,
                                           health.threshold_sources)
    if health.name_problem:
        level, message = ERROR, f'{health.name_problem}; {message}'
    raises, last_minute = health.raises
    return status(f'{name}: risk', bytes([level]), message,
                  {**values, 'raises': raises, 'raises_last_minute': last_minute})


def _model(name: str, health: Health) -> DiagnosticStatus:
    level, message = DiagnosticStatus.OK, 'loaded' if health.model else 'not loaded'
    if health.loading:
        message = f'loaded; loading {health.loading} to take over'
    if health.configure_problem:
        level, message = DiagnosticStatus.ERROR, health.configure_problem
    elif health.swap_problem:
        level, message = DiagnosticStatus.WARN, health.swap_problem
    elif health.model and not health.thresholds.by_score:
        level, message = DiagnosticStatus.WARN, (
            'loaded; no score has a threshold: emu calibrate fits them, or set risk_threshold_*')
    elif beyond := health.model and unbelievable(health.threshold_sources):
        level, message = DiagnosticStatus.WARN, f'loaded; {beyond}'
    elif refused := health.model.get('backend_refused'):
        level, message = DiagnosticStatus.WARN, f'loaded; {refused}'
    return status(f'{name}: model', level, message, health.model)
