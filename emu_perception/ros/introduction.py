# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What people are told of a model that begins to run, and of what it does not give."""

from __future__ import annotations

from emu_perception.promises.holding import promise_lines
from emu_perception.risk import RiskThresholds
from emu_perception.risk_status import resolve_thresholds, unbelievable
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.mounted import silent_ground
from emu_perception.ros.predictor_pool import SharedPredictor


def introduce(log: QuietLog, predictor: SharedPredictor, settings: Settings, converter: str, *,
              label_info: bool) -> None:
    """
    Say what runs from now on, and what of it a user may miss.

    :param converter: what makes messages to arrays.
    :param label_info: whether the names of the classes could be published.
    """
    tasks = predictor.metadata.tasks
    log.info(f'configured: {predictor.key.path.name} on {predictor.device_description}, '
             f'{predictor.precision}; {converter}')
    if 'segmentation' in tasks and not label_info:
        log.once('label_info', 'no ~/label_info: vision_msgs is not installed', warning=False)
    say_promises(log, predictor, settings)
    if settings.depth_hint and 'depth' not in tasks:
        log.once('depth_hint', 'depth_hint is set, but the checkpoint has no task depth: the '
                 'depth camera is joined to nothing')
    for name in ('calibration_watch', 'adaptive_sigma'):
        if getattr(settings, name) and not settings.depth_hint:  # The ground is no second sensor.
            log.once(name, f'{name} is set, and depth_hint is not: it has nothing to compare with')
    if settings.ground_scale:
        no_depth = ('' if 'depth' in tasks else 'ground_scale is set, but the checkpoint has no '
                    'task depth: there are no metres to scale')
        if problem := no_depth or silent_ground(settings):
            log.once('ground_scale', problem)
    if settings.risk_region:
        log.once('risk_region', 'risk_region is set: thresholds of the checkpoint were fitted on '
                 'whole images; set those of this part (risk_threshold_*)')
    # Not those in force: of a model that takes over they come with its first image.
    thresholds, sources = resolve_thresholds(settings.risk_thresholds,
                                             predictor.metadata.calibration,
                                             settings.risk_scores)
    if beyond := unbelievable(sources):
        log.once(beyond, beyond)
    if thresholds == RiskThresholds() and not settings.risk_scores:  # Those keep it raised.
        log.once('thresholds', 'neither the checkpoint nor a parameter gives a risk threshold: '
                 'uncertainty never raises the risk flag')


def say_promises(log: QuietLog, predictor: SharedPredictor, settings: Settings) -> None:
    """Say what of the promised maps is not promised, or not there."""
    for line in promise_lines(predictor.metadata, settings.promise_level,
                              hinted=settings.rescaled):
        log.once(line, line, warning=False)
