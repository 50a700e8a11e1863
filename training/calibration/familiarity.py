# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Fit unfamiliarity and predicted failure to training images.

Familiarity is fitted to the images as they are and in views, without the frame that NYUv2's have.
Predicted failure is fitted to what the network gets wrong on them corrupted; the unfamiliarity
that it reads there comes from the images of other runs, as it will for a robot's.
"""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.errors import InputError
from emu_perception.familiarity import (
    Familiarity,
    fit_familiarity,
    fit_predicted_failure,
    FittedScores,
    INPUT_SCORES,
    UNFAMILIARITY,
)
import numpy as np

from ..data.frame_runs import folds, frame_runs
from .observations import Observations
from .training_pictures import CLEAN, VIEW

FOLDS = 5
# Of the squared weights, for each picture: chosen on training images, kinds and runs left out.
PENALTY = 0.3


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
