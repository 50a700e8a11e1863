# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From observations to the figures of ``training.studies.trust``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from emu_perception.corruptions import CORRUPTIONS, FAULTS, MILD
from emu_perception.familiarity import FittedScores, largest_ratio
import numpy as np

from ..calibration.badness import BAD_ABS_REL, BAD_PIXEL_ACCURACY
from ..calibration.joint_fit import bad_corrupted, thresholds_by
from ..calibration.observations import Observations
from ..calibration.training_pictures import CLEAN
from ..metrics.image_ranks import area_under_roc
from .trust_cells import ruler_cells
from .trust_judgement import (
    judge,
    Judged,
    risk_coverage,
    run_interval,
    runs_of,
    share_with_interval,
)

FLAG = 'flag'  # The largest score by its threshold.
CURVE = 51  # Points of a curve of risk by coverage.
APART = (1.2, 1.5)  # What is this far beyond the limit, against what is as far within it.
PERCENTILES = (90.0, 92.5, 95.0, 97.5)  # Of clean images: what each would flag, to choose by.
# Of a picture's error as a multiple of what still counts as good.
ERRORS = (-np.inf, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, np.inf)
_SHIPPED = ('corrupted_and_bad', 'corrupted_and_good', 'upside_down', 'jigsaw')
Cell = tuple[str, int]


def summary(fitted: FittedScores, unseen: Mapping[str, FittedScores], pictures: Observations,
            groups: Mapping[str, Observations], names: Sequence[str], percentile: float,
            measured: Mapping[Cell, Mapping[str, float | None]]) -> dict[str, Any]:
    """
    Return cells, detection, bars, shares by error and at other percentiles, and groups.

    :param fitted: to all kinds: what would be shipped.
    :param unseen: by kind, fitted without it.
    :param pictures: of the ruler.
    :param groups: of pictures without truth, by name.
    :param names: of the scores that judge, beside the two that are fitted.
    :param measured: by kind and severity, what was pooled over pixels.
    """
    def judgements(at: float) -> tuple[Judged, Judged]:
        shipped = judge(fitted, pictures, names, at)
        return shipped, _left_out(shipped, unseen, pictures, names, at)
    shipped, judged = judgements(percentile)
    run, bad = runs_of(pictures.stem), pictures.badness > 1
    clean = pictures.kind == CLEAN
    limits = thresholds_by(shipped.scores, clean, bad_corrupted(pictures), percentile)
    return {
        'runs': len(np.unique(run)), 'bad': {'abs_rel_above': BAD_ABS_REL,
                                             'pixel_accuracy_below': BAD_PIXEL_ACCURACY},
        'statistics': pictures.statistics.shape[1], 'thresholds': limits,
        'cells': [_cell(cell, pictures, judged, shipped, measured) for cell in ruler_cells()
                  if ((pictures.kind == cell[0]) & (pictures.severity == cell[1])).any()],
        'detection': _detection(judged, pictures, run, bad),
        'bars': _bars(judged, shipped, pictures, run, bad),
        'by_error': {name: _by_error(judged, pictures, run, np.isin(pictures.kind, [*kinds]))
                     for name, kinds in (('corrupted', CORRUPTIONS), ('faulty', FAULTS))},
        'percentiles': {f'{at:g}': _shares(judgements(at)[1], pictures, bad)
                        for at in PERCENTILES},
        'groups': [_group(name, own, fitted, limits, names) for name, own in groups.items()]}


def _left_out(shipped: Judged, unseen: Mapping[str, FittedScores], pictures: Observations,
              names: Sequence[str], percentile: float) -> Judged:
    """Return the judgement of each kind by scores fitted without it; others as shipped."""
    found = Judged({name: values.copy() for name, values in shipped.scores.items()},
                   shipped.ratio.copy(),
                   {name: values.copy() for name, values in shipped.by.items()})
    for kind, fitted in unseen.items():
        own = pictures.kind == kind
        judged = judge(fitted, pictures, names, percentile, kind)
        found.ratio[own] = judged.ratio[own]
        for name in found.scores:
            found.scores[name][own] = judged.scores[name][own]
            found.by[name][own] = judged.by[name][own]
    return found


def _cell(cell: Cell, pictures: Observations, judged: Judged, shipped: Judged,
          measured: Mapping[Cell, Mapping[str, float | None]]) -> dict[str, Any]:
    own = (pictures.kind == cell[0]) & (pictures.severity == cell[1])
    part = pictures.where(own)
    return {'kind': cell[0], 'severity': cell[1], 'images': int(own.sum()),
            'abs_rel': _mean(part.abs_rel), 'pixel_accuracy': _mean(part.pixel_accuracy),
            **measured[cell], 'bad': float((part.badness > 1).mean()),
            'scores': {name: float(values[own].mean())
                       for name, values in judged.scores.items()},
            'flagged': float((judged.ratio[own] > 1).mean()),
            'flagged_as_shipped': float((shipped.ratio[own] > 1).mean()),
            'flagged_by': {name: float((values[own] > 1).mean())
                           for name, values in judged.by.items()}}


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _detection(judged: Judged, pictures: Observations, run: np.ndarray,
               bad: np.ndarray) -> dict[str, Any]:
    """Return, by score, how well it tells bad from good among the corrupted pictures."""
    found = {}
    own = np.isin(pictures.kind, [*CORRUPTIONS])
    error = pictures.badness[own]
    apart = {f'{far:g}': (error > far) | (error < 1 / far) for far in APART}
    for name, values in (*judged.by.items(), (FLAG, judged.ratio)):
        score, truth = values[own], bad[own]
        coverage, risk = risk_coverage(score, truth)
        points = np.linspace(coverage[0], 1.0, CURVE)
        found[name] = {
            'auroc': area_under_roc(score, truth),
            'interval': run_interval(partial(_auroc_of, score, truth), run[own]),
            'auroc_apart': {far: area_under_roc(score[chosen], truth[chosen])
                            for far, chosen in apart.items()},
            'area_under_risk_coverage': float(risk.mean()),
            'coverage': points.tolist(), 'risk': np.interp(points, coverage, risk).tolist()}
    return found


def _auroc_of(score: np.ndarray, bad: np.ndarray, chosen: np.ndarray) -> float:
    return area_under_roc(score[chosen], bad[chosen])


def _bars(judged: Judged, shipped: Judged, pictures: Observations, run: np.ndarray,
          bad: np.ndarray) -> dict[str, Any]:
    """Return the shares that the flag is measured by."""
    def share(chosen: np.ndarray, who: Judged) -> dict[str, object]:
        return share_with_interval(who.ratio[chosen] > 1, run[chosen])
    kinds = _kinds(pictures, bad)
    return {**{name: share(chosen, judged) for name, chosen in kinds.items()},
            **{f'{name}_as_shipped': share(kinds[name], shipped) for name in _SHIPPED}}


def _by_error(judged: Judged, pictures: Observations, run: np.ndarray,
              chosen: np.ndarray) -> list[dict[str, Any]]:
    """
    Return how many pictures of each size of error there are, and the share flagged.

    Good and bad are two sides of one limit, near which many pictures lie: this is what the flag
    says of how far each is from it.
    """
    found = []
    for low, high in zip(ERRORS, ERRORS[1:]):
        own = chosen & (pictures.badness > low) & (pictures.badness <= high)
        above, up_to = (limit if np.isfinite(limit) else None for limit in (low, high))
        found.append({'above': above, 'up_to': up_to,
                      **share_with_interval(judged.ratio[own] > 1, run[own])})
    return found


def _kinds(pictures: Observations, bad: np.ndarray) -> dict[str, np.ndarray]:
    kind = pictures.kind
    corrupted, faulty = np.isin(kind, [*CORRUPTIONS]), np.isin(kind, [*FAULTS])
    return {'clean': kind == CLEAN, 'clean_and_good': (kind == CLEAN) & ~bad,
            'mild': np.isin(kind, [*MILD]),
            'corrupted_and_bad': corrupted & bad, 'corrupted_and_good': corrupted & ~bad,
            'faulty_and_bad': faulty & bad, 'faulty_and_good': faulty & ~bad,
            'upside_down': kind == 'upside_down', 'jigsaw': kind == 'jigsaw'}


def _shares(judged: Judged, pictures: Observations, bad: np.ndarray) -> dict[str, float | None]:
    return {name: float((judged.ratio[chosen] > 1).mean()) if chosen.any() else None
            for name, chosen in _kinds(pictures, bad).items()}


def _group(name: str, pictures: Observations, fitted: FittedScores,
           limits: Mapping[str, float], names: Sequence[str]) -> dict[str, Any]:
    scores = {**{own: pictures.scores[own] for own in names if own in pictures.scores},
              **fitted.measure_all(pictures.statistics, pictures.scores)}
    flagged = largest_ratio(scores, limits) > 1
    return {'group': name, 'images': len(flagged), 'flagged': float(flagged.mean()),
            'flagged_by': {own: float((values > limits[own]).mean())
                           for own, values in scores.items()},
            'scores': {own: float(values.mean()) for own, values in scores.items()}}
