# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask whether a checkpoint's uncertainty means something."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.corruptions import BASIC, corrupted, SEVERITIES
from emu_perception.corruptions.photographs import no_room_files, read_rgb
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
from emu_perception.risk import RiskMonitor, RiskThresholds
from emu_perception.scores import SCORES
import numpy as np
from rich.progress import track

from ..arguments.studies.uncertainty import parser
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder, training_focal, training_fx
from ..data.leakage import check_unseen
from ..data.unknown_camera import warn_of_camera
from ..evaluation.measuring import answered, check_classes, compared
from ..methods.ensemble import Ensemble
from ..metrics.image_ranks import auroc, rank_correlation
from ..metrics.suite import EvaluationSuite
from ..reporting.uncertainty_study import study_figure, table
from .image_folders import image_groups

SHOWN = {'segmentation': ('miou', 'pixel_accuracy', 'ece', 'auroc', 'ause'),
         'depth': ('rmse', 'delta1', 'nll', 'coverage_90', 'auroc', 'ause')}


class Judge:
    """
    What the robot's predictor and its flag say of single images.

    :param name: of the checkpoint.
    :raises InputError: if it has no risk threshold.
    """

    def __init__(self, predictor: Predictor, name: object) -> None:
        calibration = predictor.metadata.calibration
        self.predictor = predictor
        self.thresholds = calibration.thresholds
        if not self.thresholds:
            raise InputError(f'{name}: has no risk thresholds: run emu calibrate on it')

    def __call__(self, image: np.ndarray, fx: float | None) -> dict[str, Any]:
        """Return the scores of an image and whether each raises the flag; None: not judged."""
        scores = self.predictor(image, fx=fx).scores
        return {**{f'mean_{name}': scores.get(name) for name in SCORES},
                **{f'by_{row.tag}': self._raised(name, scores) for name, row in SCORES.items()}}

    def _raised(self, name: str, scores: Mapping[str, float]) -> bool | None:
        if name not in self.thresholds or name not in scores:
            return None
        monitor = RiskMonitor(RiskThresholds({name: self.thresholds[name]}), raise_after=1,
                              clear_after=1, clear_below=1.0)
        monitor.activate()
        return monitor.observe(scores, 0.0).raised


def as_seen(image: np.ndarray, kind: str | None, stem: str) -> np.ndarray:
    """Return an image corrupted, or as it is; its noise is the same in every run."""
    if kind is None:
        return image
    name = stem.encode(errors='surrogateescape')  # It may be no UTF-8.
    rng = np.random.default_rng([BASIC.index(kind), *name])
    return corrupted(image, kind, SEVERITIES[-1], rng)


def with_truth(judge: Judge, ensemble: Ensemble, folder: DatasetFolder, stems: Sequence[str],
               kind: str | None, progress: bool) -> dict[str, Any]:
    """Return a group of the split's own images, with what the network gets right."""
    suite = EvaluationSuite(len(ensemble.classes) or None, 'depth' in ensemble.tasks,
                            form=ensemble.depth_form)
    suite.to(ensemble.device)
    rows = []
    for stem in track(stems, kind or 'clean', disable=not progress):
        example = folder.example(stem)
        image = as_seen(example.image, kind, stem)
        answer = answered(ensemble, image, training_focal(folder))
        figures = compared(suite, answer, example)
        rows.append({'image': stem, **judge(image, training_fx(folder, image)),
                     **{name: figures[name] for name in ('pixel_accuracy', 'rmse')}})
    found = suite.compute()
    return {'group': kind or 'clean', 'rows': rows, **{
        task: {name: found[task][name] for name in names if name in found[task]}
        for task, names in SHOWN.items() if task in found}}


def without_truth(judge: Judge, name: str, files: list[Path], progress: bool) -> dict[str, Any]:
    """Return a group of images of which nothing is known, nor of their camera."""
    return {'group': name, 'rows': [
        {'image': path.name, **judge(image, None)}
        for path, image in track(zip(files, map(read_rgb, files)), name, len(files),
                                 disable=not progress)]}


def _error(row: Mapping[str, Any], task: str) -> float | None:
    """Return how wrong an image is in a task."""
    if task == 'depth' or row['pixel_accuracy'] is None:
        return row['rmse'] if task == 'depth' else None
    return 1 - row['pixel_accuracy']


def summed_up(group: dict[str, Any], clean: dict[str, Any]) -> dict[str, Any]:
    """Return a group with shares, percentiles and AUROC against the clean images."""
    rows = group['rows']
    column = {f'mean_{name}': [row[f'mean_{name}'] for row in rows] for name in SCORES}
    tags = [score.tag for score in SCORES.values()]
    flags = {'flagged': [any(row[f'by_{tag}'] for tag in tags) for row in rows],
             **{f'flagged_by_{tag}': [row[f'by_{tag}'] for row in rows] for tag in tags}}
    return {'group': group['group'], 'images': len(rows),
            **{name: None if values[0] is None else float(np.mean(values))
               for name, values in flags.items()},
            **{name: {'p5': float(np.percentile(values, 5)),
                      'p50': float(np.percentile(values, 50)),
                      'p95': float(np.percentile(values, 95)),
                      'auroc': auroc([row[name] for row in clean['rows']], values)}
               if values[0] is not None else None for name, values in column.items()},
            **{task: group[task] for task in SHOWN if task in group}, 'rows': rows}


def study(checkpoint: Path, folder: DatasetFolder, stems: list[str],
          others: dict[str, list[Path]], device: str = 'auto',
          progress: bool = True) -> dict[str, Any]:
    """
    Return the groups: clean, corrupted, others.

    :raises EmuError: if a file cannot be used, or there are no thresholds.
    """
    found = str(resolved_device(device))
    network, metadata = load_checkpoint(checkpoint)
    if network.num_heads > 1 or not set(SHOWN) & set(metadata.tasks):
        raise InputError(f'{checkpoint}: gives no segmentation or depth of one pass: study a '
                         'baseline or a student')
    # Photographs come in many sizes: no other backend is worth its compilation here.
    judge = Judge(Predictor(network, replace(metadata, instances=None), device=found,
                            backend='eager'), checkpoint)
    ensemble = Ensemble([checkpoint], method='deterministic', device=found)
    check_classes(ensemble, folder)
    warn_of_camera(folder, metadata)
    # First: a file that is no image ends the study.
    last = [without_truth(judge, name, files, progress) for name, files in others.items()]
    groups = [with_truth(judge, ensemble, folder, stems, kind, progress)
              for kind in (None, *BASIC)] + last
    clean = groups[0]['rows']
    return {'checkpoint': checkpoint.name, 'data_set': folder.name,
            'thresholds': {
                **{score.tag: judge.thresholds.get(name) for name, score in SCORES.items()},
                'fitted': {SCORES[name].tag: asdict(fitted)
                           for name, fitted in metadata.calibration.scores.items()}},
            # Of the clean images: is an image of higher uncertainty one of more error?
            'rank_correlation': {
                score.tag: rank_correlation([row[f'mean_{name}'] for row in clean],
                                            [_error(row, score.task) for row in clean])
                for name, score in SCORES.items()},
            'groups': [summed_up(group, groups[0]) for group in groups]}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    def measured(options: argparse.Namespace) -> dict[str, Any]:
        others = image_groups(options.images, ('clean', *BASIC))
        files = no_room_files()
        if files:
            others.setdefault('out of distribution', files)
        folder = DatasetFolder(options.data)
        check_unseen(options.checkpoint, read_metadata(options.checkpoint), folder, options.split)
        result = study(options.checkpoint, folder,
                       evenly_spaced(folder.stems(options.split), options.limit), others,
                       options.device, not options.no_progress)
        return {**result, 'split': options.split}
    return study_command(parser(), arguments, measured, table, figures={'figure': study_figure})


if __name__ == '__main__':
    sys.exit(main())
