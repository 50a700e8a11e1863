# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask what labels, metres and intervals are worth through other lenses and on other sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import sys
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.depth_forms import DepthForm
from emu_perception.normal_distribution import Z90
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track
import torch

from ..arguments.studies.cameras import parser
from ..calibration.training_pictures import border_of, clean_picture, generator
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder, Example
from ..data.leakage import check_unseen
from ..metrics.image_ranks import area_under_roc
from ..reporting.tables import markdown, number
from .camera_views import CAMERA_VIEWS
from .told_depth import told
from .trust_judgement import run_interval, runs_of

_FIGURES = ('pixel_accuracy', 'abs_rel', 'delta1', 'coverage_90')


_EVERY = 16  # Pixel of an image is ranked: neighbours say the same.
_WRONG = np.log(1.25)  # As delta1 has it.


def _nothing() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True)
class Seen:
    """
    One image by one camera.

    :ivar figures: by a name of ``_FIGURES``: sum over pixels, and how many.
    :ivar log_factor: median of log(true depth / depth); NaN without depth.
    :ivar log_ratios: log(true depth / depth) of some pixels, float32 [n], and ``relative`` their
        sigma / depth; those within the range.
    :ivar raised: whether a score is above its threshold; None where the checkpoint has none.
    """

    figures: Mapping[str, tuple[float, int]]
    log_factor: float
    raised: bool | None
    log_ratios: np.ndarray = field(default_factory=_nothing)
    relative: np.ndarray = field(default_factory=_nothing)


def study(checkpoint: Path, folder: DatasetFolder, split: str, *, limit: int | None = None,
          device: str = 'auto', progress: bool = True) -> dict[str, Any]:
    """
    Return the figures of each camera.

    :param limit: only so many images, evenly spaced.
    :raises EmuError: if a file cannot be used, the camera is not known, or the checkpoint was
        trained on these images.
    """
    predictor = Predictor.load(checkpoint, device=device)
    check_unseen(checkpoint, predictor.metadata, folder, split)
    folder.check_classes(predictor.metadata.classes, checkpoint)
    if folder.intrinsics is None:
        raise InputError(f"{folder.root}/dataset.yaml: field 'intrinsics' is missing: no other "
                         'camera can be made from an unknown one')
    border = border_of(predictor.metadata)
    seen: dict[str, list[Seen]] = {name: [] for name in CAMERA_VIEWS}
    stems = evenly_spaced(folder.stems(split), limit)
    for stem in track(stems, 'cameras', disable=not progress):
        picture = clean_picture(folder, stem, border)
        assert picture.focal is not None
        for name, view in CAMERA_VIEWS.items():
            example = view.seen(picture.example, generator(stem, name))
            seen[name].append(_one(predictor, example, picture.focal * view.zoom))
    runs = runs_of(np.array(stems))
    return {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
            'images': len(stems), 'runs': len(np.unique(runs)), 'border': border,
            'cameras': [{'camera': name, **_pooled(rows, runs)} for name, rows in seen.items()]}


def _one(predictor: Predictor, example: Example, focal: float) -> Seen:
    """Compare one picture with its truth; ``focal`` is in units of its width."""
    prediction = predictor(example.image, fx=focal * example.image.shape[1])
    figures: dict[str, tuple[float, int]] = {}
    log_factor, ranked = float('nan'), (_nothing(), _nothing())
    if prediction.label is not None and example.label is not None:
        known = example.label < len(predictor.metadata.classes)
        figures['pixel_accuracy'] = _sum((prediction.label == example.label)[known])
    depth, sigma = prediction.depth, prediction.depth_sigma
    if depth is not None and sigma is not None and example.depth is not None:
        valid, depth_max = example.depth > 0, predictor.metadata.depth_max
        d = told(depth, depth_max)[valid].astype(np.float64)
        true = example.depth[valid].astype(np.float64)
        ratio = true / d
        figures['abs_rel'] = _sum(np.abs(d - true) / true)
        figures['delta1'] = _sum(np.maximum(ratio, 1 / ratio) < 1.25)
        figures['coverage_90'] = _sum(_held(predictor.metadata.depth_form, d, sigma[valid], true))
        within = np.isfinite(depth[valid])  # What is beyond the range says no factor.
        log_ratio = np.log(ratio[within])
        if log_ratio.size:
            log_factor = float(np.median(log_ratio))
            ranked = (log_ratio[::_EVERY].astype(np.float32),
                      (sigma[valid] / d)[within][::_EVERY].astype(np.float32))
    limits = predictor.metadata.calibration.thresholds
    return Seen(figures, log_factor, any(
        not prediction.scores.get(name, np.inf) <= limit for name, limit in limits.items())
        if limits else None, *ranked)


def _held(form: DepthForm, depth: np.ndarray, sigma: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return which true depths lie in the 90 % interval of their density."""
    mean, variance, truth = form.as_gaussian(
        torch.from_numpy(depth), torch.from_numpy(sigma).double().square(), torch.from_numpy(true))
    return ((truth - mean).abs() < Z90 * variance.sqrt()).numpy()


def _sum(values: np.ndarray) -> tuple[float, int]:
    return float(values.sum()), values.size


def _pooled(rows: Sequence[Seen], runs: np.ndarray) -> dict[str, Any]:
    """Return shares and means over all pixels, with intervals over runs of frames."""
    found: dict[str, Any] = {}
    for name in _FIGURES:
        values = np.array([row.figures.get(name, (0.0, 0)) for row in rows])
        if not values[:, 1].any():
            continue

        def share(i: np.ndarray, values: np.ndarray = values) -> float:
            total = values[i].sum(axis=0)
            return float(total[0] / total[1]) if total[1] else float('nan')
        found[name] = {'value': share(np.arange(len(rows))), 'interval': run_interval(share, runs)}
    factors = np.array([row.log_factor for row in rows])
    factors = factors[np.isfinite(factors)]
    if factors.size:
        found['factor'] = {'median': float(np.exp(np.median(factors))),
                           'log_sd': float(factors.std()),
                           'smallest': float(np.exp(factors.min())),
                           'largest': float(np.exp(factors.max()))}
        relative = np.concatenate([row.relative for row in rows])
        for name, ratios in (
                ('auroc_relative', [row.log_ratios for row in rows]),
                # As a depth camera does it: what all depths of an image share is taken out.
                ('auroc_relative_factor_out', [row.log_ratios - row.log_factor for row in rows])):
            found[name] = area_under_roc(relative, np.abs(np.concatenate(ratios)) > _WRONG)
    if all(row.raised is not None for row in rows):
        found['flagged'] = float(np.mean([bool(row.raised) for row in rows]))
    return found


def table(result: Mapping[str, Any]) -> str:
    """Return the cameras as a table in Markdown."""
    def cell(row: Mapping[str, Any], name: str) -> str:
        figure = row.get(name)
        if figure is None:
            return number(None)
        return f'{number(figure["value"])} [{", ".join(map(number, figure["interval"]))}]'

    return markdown(
        ('camera', 'pixel accuracy', 'abs rel', 'delta1', '90 % interval holds',
         'factor (smallest, largest)', 'AUROC of sigma / depth, factor out', 'flagged'),
        [[row['camera'], *(cell(row, name) for name in _FIGURES), _factor(row.get('factor')),
          ', '.join(number(row.get(name)) for name in ('auroc_relative',
                                                       'auroc_relative_factor_out')),
          number(row.get('flagged'), 2)] for row in result['cameras']])


def _factor(factor: Mapping[str, float] | None) -> str:
    return number(None) if factor is None else (
        f'{factor["median"]:.2f} ({factor["smallest"]:.2f}, {factor["largest"]:.2f})')


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.checkpoint, DatasetFolder(options.data), options.split, limit=options.limit,
        device=options.device, progress=not options.no_progress), table)


if __name__ == '__main__':
    sys.exit(main())
