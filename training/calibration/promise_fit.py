# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Promised maps fitted to runs of frames, and what they were worth in runs that were left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

from emu_perception.checkpoint import Calibration, Promise, PromiseLevel
from emu_perception.promises.constants import most_promised
import numpy as np
import torch

from .class_sets import ENTROPY, SET_SCORES, SetScore
from .conformal import hierarchical_quantile
from .constants import DepthSample, Observation

LEVELS = (0.8, 0.9, 0.95)
# An image that holds this much less than the level is one that a robot would notice.
SHORT = 0.10
DEPTH_INTERVAL, LABEL_SET_SIZE = 'depth_interval', 'label_set_size'
# A network that is right at nearly all pixels has a threshold of 0, and a checkpoint's factors are
# above it: the next larger, whose set is of one class too.
_LEAST = 1e-6
Seen = Mapping[str, Observation]


@dataclass(frozen=True)
class Found:
    """
    What a level was worth in images that it was not fitted to.

    :ivar held: of each image, by stem: the share of its pixels that the map held for.
    :ivar size: of each image: mean width in metres, or mean number of classes.
    """

    held: Mapping[str, float]
    size: Mapping[str, float]

    def figures(self, level: float, runs: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Return the mean over runs, which is what is promised, and what is not: the worst."""
        of_runs = [float(np.mean([self.held[stem] for stem in run])) for run in runs]
        size = float(np.mean([np.mean([self.size[stem] for stem in run]) for run in runs]))
        return {'held': float(np.mean(of_runs)), 'of_runs': of_runs, 'worst_run': min(of_runs),
                'images_short': float(np.mean([share < level - SHORT
                                               for share in self.held.values()])),
                # JSON has no infinity.
                'size': size if math.isfinite(size) else None}


def fitted_promises(seen: Seen, runs: Sequence[Sequence[str]], calibration: Calibration,
                    of_fold: Mapping[str, Calibration], fitted_on: Mapping[str, Any],
                    focal: float | None = None) -> tuple[dict[str, Promise], dict[str, Any]]:
    """
    Return the promises of a network by the map's name, and their figures.

    The figures are of each run with what the others give: with their factors, and, of the sets,
    with the temperature of the folds that the run is not in. The intervals need no such thing:
    whatever multiplies sigma, the factors undo.

    :param seen: of each image, by stem, of a network whose own constants are 1.
    :param runs: of neighbouring frames: rooms.
    :param calibration: the constants that the promises are for.
    :param of_fold: of each image, the constants that it was not fitted with.
    :param focal: length of the images' camera in widths of them, which is the camera that is
        promised of; None: the network's training camera.
    """
    promises, figures = {}, {}
    depth = {stem: one.depth for stem, one in seen.items() if one.depth is not None}
    rooms = known(runs, depth)
    if rooms:
        promises[DEPTH_INTERVAL], figures[DEPTH_INTERVAL] = _intervals(
            depth, rooms, calibration, fitted_on)
    labelled = {stem: one for stem, one in seen.items() if one.has_labels}
    rooms = known(runs, labelled)
    if rooms:
        promises[LABEL_SET_SIZE], figures[LABEL_SET_SIZE] = _sets(
            labelled, rooms, calibration, of_fold, fitted_on)
    return {name: replace(promise, focal=focal) for name, promise in promises.items()}, figures


def known(runs: Sequence[Sequence[str]], stems: Mapping[str, object]) -> list[list[str]]:
    """Return the runs without the images that have no truth, and without empty runs."""
    rooms = [[stem for stem in run if stem in stems] for run in runs]
    return [room for room in rooms if room]


def threshold(scores: Sequence[np.ndarray], level: float) -> tuple[float, bool]:
    """Return the threshold of a level, and whether so many rooms can promise it."""
    promised = level <= most_promised(len(scores))
    return hierarchical_quantile(scores, level, new_group=promised), promised


def thresholds(scores: Sequence[np.ndarray]) -> list[float]:
    """
    Return the threshold of each of ``LEVELS``, none smaller than that of a lower level.

    What is calibrated alone would be: a promise of 0.9 by 15 rooms takes what held for 0.96.
    """
    found = [threshold(scores, level)[0] for level in LEVELS]
    return [max(_LEAST, *found[:at + 1]) for at in range(len(found))]


def scaled(residuals: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """Return both factors of each level: one threshold of |true - depth| / sigma."""
    return [(one, one) for one in thresholds([np.abs(own) for own in residuals])]


def sides(residuals: Sequence[np.ndarray]) -> list[tuple[float, float]]:
    """
    Return both factors of each level: a quantile of either side, each missing half as often.

    Infinite where a side's own level, (1 + level) / 2, is more than so many rooms can promise.
    """
    return [(hierarchical_quantile([-own for own in residuals], (1 + level) / 2),
             hierarchical_quantile(residuals, (1 + level) / 2)) for level in LEVELS]


SCALED = 'scaled'
INTERVALS: dict[str, Callable[[Sequence[np.ndarray]], list[tuple[float, float]]]] = {
    SCALED: scaled, 'sides': sides}


def _intervals(depth: Mapping[str, DepthSample], rooms: Sequence[Sequence[str]],
               calibration: Calibration, fitted_on: Mapping[str, Any]
               ) -> tuple[Promise, dict[str, Any]]:
    root = math.sqrt(calibration.variance_scale)
    residuals = [np.concatenate([depth[stem].residual for stem in room]) / root for room in rooms]
    promise = Promise(tuple(
        PromiseLevel(level, factors, level <= most_promised(len(rooms)))
        for level, factors in zip(LEVELS, scaled(residuals))), len(rooms), fitted_on)
    figures: dict[str, Any] = {}
    for name, way in INTERVALS.items():
        left_out = [way(_others(residuals, index)) for index in range(len(rooms))]
        figures[name] = {f'{level:g}': _interval_figures(
            depth, rooms, root, level, [factors[at] for factors in left_out])
            for at, level in enumerate(LEVELS)}
    for one in promise.levels:
        figures[SCALED][f'{one.level:g}'] |= {**_promised(one.level, len(rooms)),
                                              'factors': list(one.factors)}
    return promise, figures


def _promised(level: float, rooms: int) -> dict[str, object]:
    """
    Return what may be said of a level by so many rooms, and by those that are left of them.

    With exactly as many as a promise takes, a room that is left out leaves too few: its figure is
    of what the others calibrate, which is narrower than what is promised.
    """
    return {'promised': level <= most_promised(rooms), 'others': rooms - 1,
            'others_promise': level <= most_promised(rooms - 1)}


def _others(scores: Sequence[np.ndarray], index: int) -> list[np.ndarray]:
    """Return the other rooms' scores; of a single room its own."""
    return [own for other, own in enumerate(scores) if other != index] or [*scores]


def _interval_figures(depth: Mapping[str, DepthSample], rooms: Sequence[Sequence[str]],
                      root: float, level: float, factors: Sequence[tuple[float, float]]
                      ) -> dict[str, Any]:
    held, size, nearer, farther = {}, {}, [], []
    for room, (lower, upper) in zip(rooms, factors):
        for stem in room:
            residual = depth[stem].residual / root
            held[stem] = float(((residual >= -lower) & (residual <= upper)).mean())
            size[stem] = float((lower + upper) * root * depth[stem].sigma.mean())
        nearer.append(np.mean([(depth[stem].residual / root < -lower).mean() for stem in room]))
        farther.append(np.mean([(depth[stem].residual / root > upper).mean() for stem in room]))
    return {**Found(held, size).figures(level, rooms),
            'nearer': float(np.mean(nearer)), 'farther': float(np.mean(farther))}


def _sets(seen: Seen, rooms: Sequence[Sequence[str]], calibration: Calibration,
          of_fold: Mapping[str, Calibration], fitted_on: Mapping[str, Any]
          ) -> tuple[Promise, dict[str, Any]]:
    classes = next(one.logits.shape[1] for one in seen.values() if one.logits is not None)
    robots = SET_SCORES[ENTROPY]
    final = _set_scores(robots, seen, rooms, calibration.temperature)
    levels = [PromiseLevel(level, (factor, float(classes)), level <= most_promised(len(rooms)))
              for level, factor in zip(LEVELS, thresholds(final))]
    figures: dict[str, Any] = {}
    for name, way in SET_SCORES.items():
        by_temperature = {
            temperature: _set_scores(way, seen, rooms, temperature)
            for temperature in {of_fold[room[0]].temperature for room in rooms}}
        figures[name] = _sets_left_out(way, seen, rooms, of_fold, by_temperature)
    for one in levels:
        figures[ENTROPY][f'{one.level:g}'] |= {**_promised(one.level, len(rooms)),
                                               'factor': one.factors[0]}
    return Promise(tuple(levels), len(rooms), fitted_on), figures


def _sets_left_out(way: SetScore, seen: Seen, rooms: Sequence[Sequence[str]],
                   of_fold: Mapping[str, Calibration],
                   by_temperature: Mapping[float, list[np.ndarray]]) -> dict[str, Any]:
    held: list[dict[str, float]] = [{} for _ in LEVELS]
    size: list[dict[str, float]] = [{} for _ in LEVELS]
    for index, room in enumerate(rooms):
        temperature = of_fold[room[0]].temperature
        found = thresholds(_others(by_temperature[temperature], index))
        for stem in room:
            probabilities, label = softmax_of(seen[stem], temperature)
            scores = way.scores(probabilities)
            true = scores.gather(1, label[:, None]).squeeze(1)
            likeliest = probabilities.argmax(1) == label
            for at, one in enumerate(found):
                # The likeliest class is in every set.
                held[at][stem] = float(((true <= one) | likeliest).double().mean())
                size[at][stem] = float((scores <= one).sum(1).clamp(min=1).double().mean())
    return {f'{level:g}': Found(held[at], size[at]).figures(level, rooms)
            for at, level in enumerate(LEVELS)}


def _set_scores(way: SetScore, seen: Seen, rooms: Sequence[Sequence[str]], temperature: float
                ) -> list[np.ndarray]:
    return [np.concatenate([way.of(*softmax_of(seen[stem], temperature)).numpy()
                            for stem in room]) for room in rooms]


def softmax_of(seen: Observation, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probabilities [N, K] of an image's labelled pixels, and their labels [N]."""
    assert seen.logits is not None and seen.label is not None
    return (seen.logits / temperature).softmax(1), seen.label


def promise_lines(figures: Mapping[str, Any]) -> list[str]:
    """Return the figures of :func:`fitted_promises` for people."""
    ways = {DEPTH_INTERVAL: figures.get(DEPTH_INTERVAL, {}).get(SCALED, {}),
            LABEL_SET_SIZE: figures.get(LABEL_SET_SIZE, {}).get(ENTROPY, {})}
    units = {DEPTH_INTERVAL: 'm wide', LABEL_SET_SIZE: 'classes'}
    return [f'{name} {level} ({"promised" if one["promised"] else "calibrated, not promised"}): '
            f'{_left_out(one)} for {100 * one["held"]:.1f} %, in the worst for '
            f'{100 * one["worst_run"]:.0f} %; {one["size"]:.2f} {units[name]}'
            for name, levels in ways.items() for level, one in levels.items()]


def _left_out(one: Mapping[str, Any]) -> str:
    """Return of which rooms a figure is, and by which."""
    if not one['others']:
        return 'in the one room that it was fitted to it held'
    if one['promised'] and not one['others_promise']:
        return (f'in rooms left out what the {one["others"]} others calibrate held (they are too '
                'few to promise it: of what is promised nothing is measured)')
    return 'in rooms left out it held'
