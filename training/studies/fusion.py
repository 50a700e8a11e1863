# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask what a depth camera with holes and the network are worth together."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.fusion import FITTED
from emu_perception.normal_distribution import Z90
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track

from ..arguments.studies.fusion import parser
from ..calibration.training_pictures import border_of, clean_picture, generator, Picture
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.leakage import check_unseen
from ..reporting.fusion_study import fusion_figure, fusion_pictures, Row, table
from .fusion_fit import PixelConstants
from .fusion_holes import HOLES
from .fusion_images import fused_of, Trial, try_holes, View
from .fusion_summary import errors, samples_of, summary
from .told_depth import told
from .trust_judgement import runs_of

# Of a camera with holes of its own: what can be hidden more without labels.
OTHER_HOLES = ('blobs_30', 'blobs_78', 'half', 'box')


def study(checkpoint: Path, folder: DatasetFolder, split: str, *, seeds: int = 5,
          limit: int | None = None, others: Sequence[DatasetFolder] = (), device: str = 'auto',
          progress: bool = True) -> tuple[dict[str, Any], list[Row]]:
    """
    Return the study of a checkpoint, and the rows of its picture.

    :param limit: only so many images of the split, evenly spaced.
    :raises EmuError: if a file cannot be used.
    """
    predictor = Predictor.load(checkpoint, device)
    metadata = predictor.metadata
    if 'depth' not in metadata.tasks:
        raise InputError(f'{checkpoint}: has no task depth, which is what is fused')
    check_unseen(checkpoint, metadata, folder, split)
    border = border_of(metadata)
    stems = evenly_spaced(folder.stems(split), limit)
    trials, rows = _trials(predictor, folder, (
        clean_picture(folder, stem, border) for stem in track(
            stems, 'images', disable=not progress)), [*HOLES], seeds)
    result = {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
              'images': len(stems), 'seeds': seeds, **summary(trials)}
    result['others'] = []
    for other in others:
        found, more = _trials(predictor, other, (
            clean_picture(other, stem, (0, 0, 0, 0)) for stem in other.stems('val')),
            [*OTHER_HOLES], 1)
        rows += more
        result['others'].append({'data_set': other.name, **_other(found)})
    return result, rows


def _trials(predictor: Predictor, folder: DatasetFolder, pictures: Iterable[Picture],
            kinds: Sequence[str], seeds: int) -> tuple[list[Trial], list[Row]]:
    trials: list[Trial] = []
    rows: list[Row] = []
    for picture in pictures:
        view = _view(predictor, predictor.metadata, folder, picture)
        for kind in kinds:
            # The same in every seed: what lies beyond, and what a sensor does not see.
            for seed in range(1 if kind in ('beyond_4m', 'sensor') else seeds):
                rng = generator(picture.example.stem, kind, seed)
                hidden = HOLES[kind](picture.example, folder.classes, rng)
                trial = try_holes(view, hidden, kind, seed)
                if trial is not None:
                    trials.append(trial)
        rows.append(_row(view, folder, 'sensor' if 'sensor' in kinds else None))
    if not trials:
        raise DatasetError(f'{folder.root}: no image has enough depth to hide a part of it')
    return trials, _spread(rows)


def _view(predictor: Predictor, metadata: CheckpointMetadata, folder: DatasetFolder,
          picture: Picture) -> View:
    example = picture.example
    if example.depth is None:
        raise DatasetError(f'{folder.root}: has no depth, which is what is hidden and found again')
    if picture.focal is None or metadata.intrinsics is None:
        raise DatasetError(f'{folder.root}/dataset.yaml: intrinsics are not known: without a '
                           'focal length there are no metres')
    prediction = predictor(example.image, fx=picture.focal * example.image.shape[1])
    assert prediction.depth is not None and prediction.depth_variance is not None
    # Fills and errors want a number everywhere.
    return View(example, told(prediction.depth, metadata.depth_max), prediction.depth_variance)


def _row(view: View, folder: DatasetFolder, kind: str | None) -> Row:
    """Return a row of the picture: as the camera's own holes are, or as a sensor's would be."""
    example = view.example
    assert example.depth is not None
    known = example.depth
    if kind is not None:
        hidden = (HOLES[kind](example, folder.classes, generator(example.stem, kind))
                  | HOLES['beyond_4m'](example, folder.classes, generator(example.stem, kind)))
        known = np.where(hidden, np.float32(0.0), known)
    return Row(folder.name, example.image, known, view.depth, fused_of(view, known))


def _spread(rows: list[Row]) -> list[Row]:
    """Return the few rows whose sensor sees least, of those that are apart from one another."""
    parts = np.array_split(np.arange(len(rows)), min(3, len(rows)))
    return [min((rows[i] for i in part), key=lambda row: float((row.known > 0).mean()))
            for part in parts]


def _other(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the figures of a camera that nothing is fitted to."""
    run_of = runs_of(np.array([trial.stem for trial in trials]))
    samples = samples_of(trials, run_of)
    held = samples.z(PixelConstants(FITTED.growth, FITTED.beyond, FITTED.dissent)) <= Z90
    return {'images': len({trial.stem for trial in trials}), **errors(trials, run_of),
            'coverage_90': {'all': float(held.mean()), 'by_kind': {
                str(kind): float(held[samples.kind == kind].mean())
                for kind in np.unique(samples.kind)}}}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    rows: list[Row] = []

    def measured(options: argparse.Namespace) -> dict[str, Any]:
        result, found = study(
            options.checkpoint, DatasetFolder(options.data), options.split, seeds=options.seeds,
            limit=options.limit, others=[DatasetFolder(path) for path in options.other],
            device=options.device, progress=not options.no_progress)
        rows.extend(found)
        return result
    return study_command(parser(), arguments, measured, table, ('seeds', 'limit'), {
        'figure': fusion_figure, 'pictures': lambda _: fusion_pictures(rows)})


if __name__ == '__main__':
    sys.exit(main())
