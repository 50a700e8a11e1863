# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From trials to the figures of ``training.studies.fusion``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from emu_perception.fusion import FITTED
from emu_perception.normal_distribution import Z90
import numpy as np

from ..data.frame_runs import folds, frame_runs
from .fusion_fills import FILLS
from .fusion_fit import BINS, constants_of, fit_pixels, fit_spread, Samples
from .fusion_images import Trial
from .trust_judgement import run_interval, runs_of

FOLDS = 5
# The least by which the fused error is to be below that of the best fill (issue "Metres that hold
# on any robot").
BARS = {'blobs_30': 0.0, 'blobs_78': 0.15, 'blobs_95': 0.28, 'half': 0.33, 'beyond_4m': 0.10}


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return errors by kind of hole, the fitted constants, and what the intervals hold."""
    run = runs_of(np.array([trial.stem for trial in trials]))
    found = errors(trials, run)
    kinds = [kind['kind'] for kind in found['kinds']]
    samples = samples_of(trials, run)
    crossed, spread = _cross_fitted(trials, samples, run)
    held = crossed <= Z90
    factors = np.array([trial.factor for trial in trials])
    off = np.abs(factors[:, 0] - factors[:, 2])
    constants = constants_of(fit_pixels(samples), fit_spread(
        off, factors[:, 1], FITTED.factor_spread))
    return {
        'runs': len(np.unique(run)), 'trials': len(trials), **found,
        'coverage_90': {
            'all': _held(held, samples, np.ones(len(held), bool)),
            'by_kind': {kind: _held(held, samples, samples.kind == kind) for kind in kinds},
            'by_distance': [
                {'cells': [low, None if np.isinf(high) else high],
                 **_held(held, samples, (samples.distance >= low) & (samples.distance < high))}
                for low, high in BINS],
            'factor': float((off <= Z90 * factors[:, 1] * spread).mean())},
        'constants': asdict(constants)}


def errors(trials: Sequence[Trial], run: np.ndarray) -> dict[str, Any]:
    """Return errors by kind of hole, and the factor; ``run`` of frames of each trial."""
    factors = np.array([trial.factor[0] for trial in trials])
    wrong = factors - [trial.factor_wrong_fx for trial in trials]
    return {'kinds': [_kind(kind, trials, run)
                      for kind in dict.fromkeys(trial.kind for trial in trials)],
            'factor': {'median': float(np.exp(np.median(factors))),
                       'wrong_fx_ratio': [float(value) for value in np.exp(
                           np.percentile(wrong, (0, 50, 100)))]}}


def samples_of(trials: Sequence[Trial], run: np.ndarray) -> Samples:
    """Return the hidden pixels of all trials."""
    counts = [len(trial.samples['error']) for trial in trials]

    def all_of(name: str) -> np.ndarray:
        return np.concatenate([trial.samples[name] for trial in trials])
    return Samples(np.repeat(run, counts),
                   np.repeat(np.array([trial.kind for trial in trials]), counts),
                   *(all_of(name) for name in (
                       'error', 'relative', 'distance', 'beyond', 'dissent', 'shared')))


def _cross_fitted(trials: Sequence[Trial], samples: Samples, run: np.ndarray
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Return z of each pixel, and the factor's spread of each trial, fitted to other runs."""
    z, spread = np.empty(len(samples.run)), np.empty(len(trials))
    factors = np.array([trial.factor for trial in trials])
    stems = sorted({trial.stem for trial in trials})
    number = dict(zip([trial.stem for trial in trials], run.tolist()))
    parts = folds(frame_runs(stems), FOLDS)
    for part in parts:
        left_out = {number[stem] for stem in part}
        own, own_trials = np.isin(samples.run, [*left_out]), np.isin(run, [*left_out])
        if len(parts) == 1:  # Of a single run nothing can be left out.
            rest, others = samples, factors
        else:
            rest, others = samples.where(~own), factors[~own_trials]
        z[own] = samples.where(own).z(fit_pixels(rest))
        spread[own_trials] = fit_spread(np.abs(others[:, 0] - others[:, 2]), others[:, 1], 1.0)
    return z, spread


def _held(held: np.ndarray, samples: Samples, mask: np.ndarray) -> dict[str, Any]:
    """
    Return the share of pixels inside their interval, and its interval over runs.

    Each kind of hole counts as much as any other, however many seeds it has.
    """
    if not mask.any():
        return {'share': None, 'interval': []}
    kinds, kind = np.unique(samples.kind, return_inverse=True)
    weight = (1.0 / np.bincount(kind, minlength=len(kinds)))[kind][mask]
    runs, run = np.unique(samples.run[mask], return_inverse=True)
    inside = np.bincount(run, weight * held[mask], len(runs))
    total = np.bincount(run, weight, len(runs))
    return {'share': float(inside.sum() / total.sum()), 'interval': run_interval(
        lambda i: float(inside[i].sum() / total[i].sum()), runs)}


def _kind(kind: str, trials: Sequence[Trial], run: np.ndarray) -> dict[str, Any]:
    own = [i for i, trial in enumerate(trials) if trial.kind == kind]
    names = list(trials[own[0]].mse)
    mse = {name: np.array([trials[i].mse[name] for i in own]) for name in names}
    rmse = {name: float(np.sqrt(values.mean())) for name, values in mse.items()}
    fills = [name for name in FILLS if name in rmse]
    found: dict[str, Any] = {
        'kind': kind, 'images': len({trials[i].stem for i in own}), 'trials': len(own),
        'rmse': rmse, 'abs_rel': {name: float(np.mean([trials[i].abs_rel[name] for i in own]))
                                  for name in names},
        'wrong_fx_change': rmse['fused_wrong_fx'] / rmse['fused'] - 1.0,
        'noisy_change': rmse['fused_noisy'] / rmse['fused'] - 1.0}
    if fills:
        best = min(fills, key=lambda name: rmse[name])

        def gain(i: np.ndarray) -> float:
            return float(1.0 - np.sqrt(mse['fused'][i].mean() / mse[best][i].mean()))
        found |= {'best_fill': best, 'gain': gain(np.arange(len(own))),
                  'gain_interval': run_interval(gain, run[own])}
        if kind in BARS:
            found |= {'bar': BARS[kind], 'holds': found['gain'] >= BARS[kind]}
    return found
