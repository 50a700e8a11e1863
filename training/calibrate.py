# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Calibrate a checkpoint on images it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import logging
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    load_checkpoint,
    save_checkpoint,
)
from emu_perception.commands.output_file import make_folder
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.networks.families import Network
from emu_perception.observer import Observer
from emu_perception.predictor import Predictor
from emu_perception.risk_status import resolve_thresholds, unbelievable
from emu_perception.scores import SCORES
from rich.progress import track

from .arguments.calibrate import DRIVABLE, parser
from .calibration.constants import doubts, fitted
from .calibration.controlled_rate import controlled_rate, rate_lines
from .calibration.cross_fit import cross_fit, CrossFit
from .calibration.joint_fit import joint_fit, joint_lines
from .calibration.promise_fit import fitted_promises, promise_lines
from .calibration.risk_thresholds import (
    image_scores,
    judged,
    limits,
    older_limits,
    Scores,
    too_few,
    with_limits,
    with_thresholds,
)
from .calibration.twins import take_constants
from .command_line import check_figure, check_writable, run, write_figure, write_result
from .data.dataset_folder import DatasetFolder, training_focal
from .data.frame_runs import frame_runs
from .data.leakage import trained_on
from .data.unknown_camera import warn_of_camera
from .reporting.promises import promises_figure

LOGGER = logging.getLogger('training')
SHOWN = {'segmentation': ('ece', 'nll', 'brier'),
         'depth': ('nll', 'coverage_50', 'coverage_90', 'coverage_95', 'calibration_error')}


def calibrate(checkpoint: Path, folder: DatasetFolder, split: str, out: Path, *,
              percentile: float = 95.0, count: int = 5, fit_scores: bool = False,
              new_thresholds: bool = False, drivable: Sequence[str] | None = None,
              device: str = 'auto', kept: Path | None = None,
              progress: bool = True) -> dict[str, Any]:
    """
    Write ``out``, calibrated on all images of a split.

    :param count: of the folds of whole runs; with one run only, what is measured was fitted to.
    :param fit_scores: to the training images, with joint thresholds.
    :param new_thresholds: even where the images are too few for a percentile and the checkpoint
        has thresholds of more; not asked of ``fit_scores``, whose thresholds are of new scores.
    :param drivable: names of classes; how sure one must be of them is fitted. None: those of
        ``DRIVABLE`` that there are.
    :param kept: a folder for what the network gave of the pictures of that fit.
    :return: the constants, and metrics before and, cross-fitted, after.
    :raises EmuError: if a file cannot be used.
    """
    network, metadata = load_checkpoint(checkpoint)
    _check(checkpoint, network, metadata, folder, split, drivable or ())
    if metadata.statistics and not fit_scores:
        LOGGER.warning('%s: its fitted scores are dropped, they are of its earlier constants: '
                       'give --fit-scores', checkpoint)
    earlier, metadata = metadata.calibration, replace(metadata, statistics={})
    warn_of_camera(folder, metadata)
    folder.restrict((split,))
    stems = folder.stems(split)
    found = str(resolved_device(device))
    # First, for they refuse what cannot be fitted to.
    observer, training = None, DatasetFolder(folder.root)
    if fit_scores:
        observer = Observer(network, metadata, checkpoint, found)
        training.restrict(('train',))
    few = too_few(len(stems), percentile)
    if few:
        LOGGER.warning('%d images are few: percentile %g of their scores is all but the largest '
                       'one, so that the thresholds are of a single image; give %d or more',
                       len(stems), percentile, few)
    runs = frame_runs(stems)
    fit = cross_fit(checkpoint, metadata, folder, split, runs, count, found, progress)
    metadata, promised = _with_constants(metadata, fit, folder, split, runs)
    for doubt in doubts(metadata.calibration):
        LOGGER.warning('%s: %s', checkpoint, doubt)
    rate = controlled_rate(fit.seen, runs, metadata.classes, drivable or DRIVABLE,
                           metadata.calibration.temperature)
    if drivable and rate is None:
        LOGGER.warning('--drivable: nothing can be promised of %s: it takes 9 runs of labelled '
                       'images, and of all images there are %d', ', '.join(drivable), len(runs))
    predictor = Predictor(network, replace(metadata, instances=None), device=found)
    scores = {stem: judged(own, metadata.tasks) for stem, own in image_scores(
        predictor, folder, track(stems, 'risk thresholds', disable=not progress)).items()}
    calibration = with_thresholds(metadata.calibration, list(scores.values()), percentile,
                                  folder.name, split)
    if few and not (new_thresholds or fit_scores):
        calibration = _with_older_limits(calibration, earlier, len(stems), checkpoint)
    alarms, statistics, more = false_alarms(scores, fit.parts, percentile), {}, {}
    if observer is not None:
        observer.metadata = metadata
        joint = joint_fit(observer, network, training, folder, split, fit.parts, percentile,
                          kept=kept, progress=progress)
        calibration = with_limits(calibration, joint.thresholds, percentile, folder.name, split,
                                  len(stems))
        alarms, statistics = joint.figures['false_alarms'], joint.fitted.arrays()
        more = {'fitted_scores': joint.figures}
    save_checkpoint(out, network, replace(metadata, calibration=calibration,
                                          statistics=statistics))
    if beyond := unbelievable(resolve_thresholds({}, calibration)[1]):
        LOGGER.warning('%s: %s', out, beyond)
    return {'checkpoint': out.name, 'data_set': folder.name, 'split': split,
            'images': len(stems), 'runs': len(runs), 'folds': len(fit.parts),
            **_constants(calibration), 'risk_percentile': percentile,
            'of_folds': [{'images': len(part), 'temperature': own.temperature,
                          'variance_scale': own.variance_scale}
                         for part, own in zip(fit.parts, fit.of_parts)],
            'false_alarms': alarms, **more, 'promises': promised,
            'drivable': None if rate is None else rate.as_json(),
            'before': _shown(fit.before), 'after': _shown(fit.after)}


def _check(checkpoint: Path, network: Network, metadata: CheckpointMetadata,
           folder: DatasetFolder, split: str, drivable: Sequence[str]) -> None:
    """Check that a network can be calibrated on a split; raises EmuError."""
    if network.num_heads > 1:
        raise InputError(f'{checkpoint}: is a sub-ensemble; calibrate what is distilled from it')
    if trained_on(metadata, folder, split):
        raise InputError(f"{checkpoint}: was trained on '{split}' of {folder.name} too: a network "
                         'is surer of what it was trained on; give --constants-of its twin')
    for name in drivable:
        if name not in metadata.classes:
            raise InputError(f"--drivable has '{name}', which is no class of {checkpoint}: give "
                             f'some of {", ".join(metadata.classes) or "a network with labels"}')
    folder.check_classes(metadata.classes, checkpoint)


def _with_constants(metadata: CheckpointMetadata, fit: CrossFit, folder: DatasetFolder,
                    split: str, runs: Sequence[Sequence[str]],
                    ) -> tuple[CheckpointMetadata, dict[str, Any]]:
    """Return a document with the constants of all images and their promises, whose figures too."""
    source = {'data_set': folder.name, 'split': split, 'images': sum(map(len, runs))}
    calibration = fitted(fit.seen.values(), metadata.calibration)
    promises, figures = fitted_promises(fit.seen, runs, calibration, fit.of_images, source,
                                        training_focal(folder))
    return replace(metadata, calibration=replace(calibration, promises=promises), provenance={
        **metadata.provenance, 'calibration': source}), figures


def _with_older_limits(calibration: Calibration, earlier: Calibration, images: int,
                       checkpoint: Path) -> Calibration:
    older = older_limits(calibration, earlier, images)
    if older:
        LOGGER.warning('%s: keeps its earlier thresholds of %s, which are of more images, for the '
                       'new constants: --new-thresholds replaces them', checkpoint,
                       ', '.join(older))
    return replace(calibration, scores={**calibration.scores, **older})


def _constants(calibration: Calibration) -> dict[str, Any]:
    return {'temperature': calibration.temperature, 'variance_scale': calibration.variance_scale,
            **{f'risk_{row.tag}': calibration.thresholds.get(name)
               for name, row in SCORES.items()}}


def false_alarms(scores: dict[str, Scores], parts: list[list[str]],
                 percentile: float) -> float:
    """
    Return the share of images that the thresholds of the other folds' images flag.

    :param scores: of each image, with the final constants; those that get a threshold.
    :param parts: the folds; with one only, its own thresholds are used.
    """
    flagged = 0
    for part in parts:
        own = limits([value for stem, value in scores.items()
                      if stem not in part or len(parts) == 1], percentile)
        flagged += sum(any(scores[stem][name] > limit for name, limit in own.items())
                       for stem in part if stem in scores)
    return flagged / max(len(scores), 1)


def _shown(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    return {task: {name: result[task][name] for name in names}
            for task, names in SHOWN.items() if task in result}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        if (options.data is None) == (options.constants_of is None):
            raise InputError('give --data, or --constants-of in its place')
        out = options.out or options.checkpoint
        for path in (options.json, out):
            check_writable(path)
        check_figure(options.figure)
        if options.constants_of is not None:
            for name in ('split', 'percentile', 'folds', 'fit_scores', 'observations',
                         'new_thresholds', 'drivable', 'figure'):
                if getattr(options, name) not in (None, False):
                    raise InputError(f"--{name.replace('_', '-')}: nothing is fitted with "
                                     '--constants-of: leave it out')
            found = take_constants(options.checkpoint, options.constants_of, out)
            write_result(options.json, found)
            print(f'wrote {out}')
            return
        split = options.split or 'val'
        percentile = 95.0 if options.percentile is None else options.percentile
        count = 5 if options.folds is None else options.folds
        if not 1 <= percentile <= 100:
            raise InputError(f'--percentile is {percentile:g}: give 1 to 100')
        if count < 1:
            raise InputError(f'--folds is {count}: give 2 or more; 1 measures the images that the '
                             'constants were fitted to')
        if options.observations is not None and not options.fit_scores:
            raise InputError('--observations: nothing is observed without --fit-scores: leave it '
                             'out')
        if options.observations is not None:
            make_folder(options.observations, f'--observations {options.observations}')
        if split == 'train':
            raise InputError("--split is 'train': a network is surer of what it was trained on; "
                             'give val')
        if split == 'test':
            raise InputError("--split is 'test': it is for the last measurement; give val")
        result = calibrate(options.checkpoint, DatasetFolder(options.data), split, out,
                           percentile=percentile, count=count, fit_scores=options.fit_scores,
                           new_thresholds=options.new_thresholds,
                           drivable=None if options.drivable is None else [
                               name.strip() for name in options.drivable.split(',')],
                           device=options.device,
                           kept=options.observations, progress=not options.no_progress)
        thresholds = {row: result[f'risk_{row.tag}'] for row in SCORES.values()}
        print(f"temperature {result['temperature']:.4f}, variance scale "
              f"{result['variance_scale']:.4f}, thresholds: " + ', '.join(
                  row.text(limit) for row, limit in thresholds.items() if limit is not None)
              + ' (of whole images: with risk_region set others fit)')
        print(f"{result['images']} images in {result['runs']} runs, after: {result['folds']} "
              f"folds; false alarms {result['false_alarms']:.3f}")
        if options.fit_scores:
            for line in joint_lines(result['fitted_scores']):
                print(line)
        for line in (*promise_lines(result['promises']), *rate_lines(result['drivable'])):
            print(line)
        for task, names in result['before'].items():
            for name, value in names.items():
                print(f"{task} {name}: {value:.4f} -> {result['after'][task][name]:.4f}")
        write_result(options.json, result)
        if result['promises']:
            write_figure(options.figure, lambda: promises_figure(result))
        print(f'wrote {out}')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
