# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Fit unfamiliarity and predicted failure to training images.

Familiarity is fitted to the images as they are and in views, without the frame that NYUv2's have.
Predicted failure is fitted to what the network gets wrong on them corrupted; the unfamiliarity
that it reads there comes from the images of other runs, as it will for a robot's.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emu_perception.errors import InputError
from emu_perception.familiarity import (
    Familiarity,
    fit_familiarity,
    fit_predicted_failure,
    FittedScores,
    INPUT_SCORES,
    UNFAMILIARITY,
)
from emu_perception.network_maps import NetworkMaps
from emu_perception.observer import Observer
import numpy as np
from training.calibration.badness import badness, errors, truth_at
from training.calibration.training_pictures import CLEAN, Picture, VIEW
from training.data.frame_runs import folds, frame_runs

FOLDS = 5
# Of the squared weights, for each picture: chosen on training images, kinds and runs left out.
PENALTY = 0.3


@dataclass(frozen=True)
class Observations:
    """
    What passes over n pictures gave.

    :ivar stem: of the images, [n].
    :ivar kind: [n], see ``Picture``; ``severity`` [n] likewise.
    :ivar statistics: float32 [n, N].
    :ivar scores: by name, [n] each.
    :ivar abs_rel: [n], NaN where there is no truth; ``pixel_accuracy`` likewise.
    """

    stem: np.ndarray
    kind: np.ndarray
    severity: np.ndarray
    statistics: np.ndarray
    scores: dict[str, np.ndarray]
    abs_rel: np.ndarray
    pixel_accuracy: np.ndarray

    @property
    def badness(self) -> np.ndarray:
        """Return each picture's error, above 1 where it is bad."""
        return badness(self.abs_rel, self.pixel_accuracy)

    def where(self, chosen: np.ndarray) -> Observations:
        """Return some of the pictures, by a mask [n] or indices."""
        return Observations(
            self.stem[chosen], self.kind[chosen], self.severity[chosen], self.statistics[chosen],
            {name: values[chosen] for name, values in self.scores.items()},
            self.abs_rel[chosen], self.pixel_accuracy[chosen])

    def save(self, path: Path) -> None:
        """Write all of it as .npz."""
        named: dict[str, Any] = {f'score_{name}': values for name, values in self.scores.items()}
        np.savez(path, stem=self.stem, kind=self.kind, severity=self.severity,
                 statistics=self.statistics, abs_rel=self.abs_rel,
                 pixel_accuracy=self.pixel_accuracy, **named)

    @classmethod
    def load(cls, path: Path) -> Observations:
        """
        Read what ``save`` wrote.

        :raises InputError: if it is something else.
        """
        try:
            with np.load(path) as file:
                arrays = dict(file)
            scores = {name.removeprefix('score_'): arrays.pop(name)
                      for name in [*arrays] if name.startswith('score_')}
            return cls(scores=scores, **arrays)
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise InputError(f'{path}: holds no observations ({error}): remove it') from error


def observed(observer: Observer, pictures: Iterable[Picture],
             also: Callable[[Picture, NetworkMaps], None] | None = None) -> Observations:
    """
    Return what the network says of pictures, and how wrong it is.

    :param also: called with each picture and its maps, for what else is to be measured.
    :raises InputError: if there is none.
    """
    rows: list[tuple[Any, ...]] = []
    # One growing block: thousands of small arrays between an image's large ones would keep the
    # memory of all of them from being given back.
    statistics = array('f')
    for picture in pictures:
        seen = observer(picture.example.image, picture.focal)
        some = seen.maps.label if seen.maps.label is not None else seen.maps.depth
        assert some is not None, 'a network has at least one task'
        truth = truth_at(picture.example, (some.shape[0], some.shape[1]))
        if also is not None:
            also(picture, seen.maps)
        statistics.frombytes(seen.statistics.tobytes())
        rows.append((picture.example.stem, picture.kind, picture.severity, seen.scores,
                     *errors(seen.maps, truth)))
    if not rows:
        raise InputError('there is no picture to observe')
    stem, kind, severity, scores, abs_rel, accuracy = zip(*rows)
    return Observations(
        np.array(stem), np.array(kind), np.array(severity),
        np.array(statistics, np.float32).reshape(len(rows), -1),
        {name: np.array([row[name] for row in scores]) for name in scores[0]},
        np.array(abs_rel), np.array(accuracy))


@dataclass(frozen=True)
class Familiar:
    """
    What unfamiliarity is of some observations, before any error is looked at.

    :ivar familiarity: of all clean pictures and views.
    :ivar out_of_run: [n], each picture's unfamiliarity by the images of other runs.
    """

    familiarity: Familiarity
    out_of_run: np.ndarray


def fit_familiar(observations: Observations, length: int) -> Familiar:
    """
    Fit familiarity to the pictures that are clean, or views.

    :param length: of the statistics, so many are familiarity's.
    :raises InputError: if there are too few of them.
    """
    familiar = np.isin(observations.kind, (CLEAN, VIEW))
    values = observations.statistics[:, :length]
    found = np.zeros(len(familiar))
    parts = folds(frame_runs(sorted(set(observations.stem))), FOLDS)
    for part in parts:
        inside = np.isin(observations.stem, part)
        # One run only: nothing is apart from it.
        others = familiar & ~inside if len(parts) > 1 else familiar
        found[inside] = fit_familiarity(values[others]).unfamiliarity(values[inside])
    return Familiar(fit_familiarity(values[familiar]), found)


def fit_scores(observations: Observations, familiar: Familiar,
               without: str | None = None) -> FittedScores:
    """
    Fit predicted failure beside familiarity.

    :param observations: of ``training_pictures``; those without truth do not count.
    :param familiar: of the same observations.
    :param without: a kind that is not fitted to, so that it can be measured.
    :raises InputError: if the error of none is known.
    """
    known = np.isfinite(observations.badness) & (observations.kind != without)
    if not known.any():
        raise InputError('predicted failure needs the truth of training images: their folder has '
                         'none for what the network predicts')
    scores = {name: observations.scores[name][known] for name in INPUT_SCORES
              if name in observations.scores}
    scores[UNFAMILIARITY] = familiar.out_of_run[known]
    return FittedScores(familiar.familiarity, fit_predicted_failure(
        observations.statistics[known], scores, observations.badness[known],
        first=familiar.familiarity.length, penalty=PENALTY * int(known.sum())))
