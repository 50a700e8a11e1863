# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Make a checkpoint this robot's own: a minute of its normal driving, no labels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
import sys
from typing import Any

from emu_perception.cameras.calibration_files import read_calibration
from emu_perception.cameras.opening import open_source
from emu_perception.checkpoint import (
    CheckpointMetadata,
    load_answering,
    save_checkpoint,
)
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.commands.commission_arguments import HINT, parser
from emu_perception.commands.commission_frames import observed, open_depths
from emu_perception.commands.ground_ruler import ruler_of
from emu_perception.commands.in_vain import ground_in_vain
from emu_perception.commands.output_file import check_checkpoint
from emu_perception.commands.program import program
from emu_perception.commissioning import commission, Commissioned, HeldOut, Recording
from emu_perception.commissioning_depth import check_depth, DepthCheck
from emu_perception.commissioning_ground import GroundCheck
from emu_perception.delivery_check import DeliveryCheck
from emu_perception.devices import resolved_device
from emu_perception.errors import EmuError, InputError, text_of
from emu_perception.familiarity import load_fitted_scores
from emu_perception.model_file import default_model
from emu_perception.observer import Observer
from emu_perception.risk_status import resolve_thresholds, unbelievable
from emu_perception.scores import names_of

PERCENTILE = 95.0


def run(options: argparse.Namespace) -> None:
    """
    Do it.

    :raises EmuError: on bad input; nothing is written then.
    """
    check_checkpoint(options.out, options.input, force=options.force)
    model = options.model or default_model()
    network, metadata = load_answering(model)
    fitted = load_fitted_scores(metadata.statistics, names_of(metadata.tasks), str(model))
    if fitted is None:
        raise InputError(f'{model}: holds no familiarity to commission: run emu calibrate '
                         '--fit-scores on it')
    observer = Observer(network, metadata, model, resolved_device(options.device))
    info = None if options.camera_info is None else read_calibration(options.camera_info)
    cameras = CameraChoice(options.fx, info, metric=False, rectify=options.rectify)
    with open_source(str(options.input), options.rate, image_topic=options.image_topic,
                     info_topic=options.camera_info_topic) as source, \
            open_depths(options.depth, options.input) as depths:
        if source.live:
            raise InputError(f'{options.input}: is a camera: record a minute of normal driving, '
                             'and give the recording')
        delivery, ground = DeliveryCheck(observer, fitted), _ground(options, model, metadata)
        recording, frames = observed(observer, source, cameras, depths, options.frames,
                                     as_hint=options.depth_as == HINT, delivery=delivery,
                                     ground=ground)
    depth = None if depths is None else check_depth(frames, as_hint=options.depth_as == HINT)
    recording, thresholds = widened(recording, metadata.calibration.thresholds, depth)
    found = commission(fitted, thresholds, recording, percentile=PERCENTILE,
                       held_out=options.held_out)
    if delivery.problem:
        found = replace(found, warnings=(
            f'{delivery.problem}. What is wrong now would be normal to the flag', *found.warnings))
    document = commissioned(metadata, found, recording, depth, str(options.input), ground)
    save_checkpoint(options.out, network, document)
    print('\n'.join(report(found, depth, stamped=source.stamped, ground=ground)))
    if beyond := unbelievable(resolve_thresholds({}, document.calibration)[1]):
        print(f'warning: {beyond}')
    if metadata.calibration.promises:
        print('the promises of the rooms before are dropped: emu calibrate fits those of this '
              'camera to labelled frames')
    print(f'wrote {options.out}')


def _ground(options: argparse.Namespace, model: Path,
            metadata: CheckpointMetadata) -> GroundCheck | None:
    """Return what asks the ground; None where the camera's height is not known."""
    for line in ground_in_vain(options):
        print(f'warning: {line}', file=sys.stderr)
    if options.camera_height is not None and not {'segmentation', 'depth'} <= {*metadata.tasks}:
        raise InputError(f'--camera-height: {model} has the tasks {", ".join(metadata.tasks)}: it '
                         'takes segmentation, to find the ground, and depth')
    ruler = ruler_of(options, metadata.classes)
    return None if ruler is None else GroundCheck(ruler.mounting, metadata.classes,
                                                  tuple(ruler.names))


def widened(recording: Recording, thresholds: Mapping[str, float], depth: DepthCheck | None,
            ) -> tuple[Recording, dict[str, float]]:
    """Return scores and thresholds of sigma as they are once its variance is multiplied."""
    factor = 1.0 if depth is None else depth.variance_factor ** 0.5

    def wider(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value * factor if name in ('depth_sigma', 'relative_depth_sigma') else value
                for name, value in values.items()}
    return replace(recording, scores=wider(recording.scores)), wider(thresholds)


def commissioned(metadata: CheckpointMetadata, found: Commissioned, recording: Recording,
                 depth: DepthCheck | None, source: str,
                 ground: GroundCheck | None = None) -> CheckpointMetadata:
    """Return a checkpoint's document with what was fitted, and where it came from."""
    frames = len(recording.time_s)
    fitted_on: dict[str, Any] = {'recording': Path(source).name, 'images': frames}
    calibration = metadata.calibration
    scores = {name: replace(before, threshold=found.thresholds[name], percentile=PERCENTILE,
                            fitted_on=fitted_on)
              if found.thresholds[name] != before.threshold else before
              for name, before in calibration.scores.items()}
    scale = calibration.variance_scale * (1.0 if depth is None else depth.variance_factor)
    provenance = {**metadata.provenance, 'commissioned': {
        **fitted_on, 'held_out': asdict(found.held_out), 'warnings': list(found.warnings),
        'depth': None if depth is None else asdict(depth),
        'ground': None if ground is None else ground.as_json()}}
    return replace(metadata, calibration=replace(calibration, scores=scores,
                                                 variance_scale=scale,
                                                 # They are of other rooms and another camera.
                                                 promises={}),
                   statistics={**metadata.statistics, **found.fitted.arrays()},
                   provenance=provenance)


def report(found: Commissioned, depth: DepthCheck | None, *, stamped: bool,
           ground: GroundCheck | None = None) -> list[str]:
    """Return what a person should know, in lines."""
    held = found.held_out
    lines = [f'of the last {held.frames} frames, by a fit to the {held.fitted} before: '
             f'{100 * held.flagged:.0f} % flagged (before commissioning '
             f'{100 * held.flagged_before:.0f} %), {_often(held)}'
             + ('' if stamped else ' (times are of --rate: the images have no stamps)')]
    lines += [f'warning: {text}' for text in found.warnings]
    if depth is not None:
        lines += [depth.sentence, f'depth variance x {depth.variance_factor:.2f}, so that 90 % '
                  f'intervals hold here{" with the scale of the hint" if depth.as_hint else ""}']
    lines += [] if ground is None else [ground.sentence]
    if depth is not None and ground is not None and ground.differs(depth.ratio):
        lines.append('warning: the depth camera and the ground tell different metres: are '
                     '--camera-height (m) and --camera-pitch right? With ground_scale the node '
                     "drives by the ground's where the depth camera sees nothing")
    return lines + [f'threshold {name}: {limit:.4g}' for name, limit in found.thresholds.items()]


def _often(held: HeldOut) -> str:
    if held.raises_per_minute is None:
        return 'how often in a minute is not known: their stamps are all the same'
    return (f'{held.raises_per_minute:.1f} raises a minute, the longest '
            f'{held.longest_s:.1f} s')


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)
    try:
        run(options)
    except (EmuError, OSError) as error:
        print(f'{program("commission")}: {text_of(error)}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
