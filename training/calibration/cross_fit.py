# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Predicted failure fitted to the split too, and measured where it was not.

On images that a network has learned from it errs less and is surer than elsewhere, so training
images alone teach too little of what goes wrong. The split's images show it, but the fit's own
images flatter it: each fold of whole runs is scored by a fit to the training images and to the
other folds, and thresholds and figures come from those scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.familiarity import FittedScores
import numpy as np
from training.calibration.familiarity import Familiar, fit_scores
from training.calibration.observations import Observations

SPLIT_CORRUPTED = 12  # Of each image of the split: there are few of them.


@dataclass(frozen=True)
class CrossFit:
    """
    A fit to everything, and fits that each leave one fold of the split out.

    :ivar whole: what is shipped.
    :ivar parts: stems of each fold, and the fit that has not seen them.
    """

    whole: FittedScores
    parts: tuple[tuple[frozenset[str], FittedScores], ...]

    def scores(self, pictures: Observations) -> dict[str, np.ndarray]:
        """Return both scores of the split's pictures, [n] each, by fits that saw none of them."""
        found = self.whole.measure_all(pictures.statistics, pictures.scores)
        for stems, fitted in self.parts:
            own = np.isin(pictures.stem, list(stems))
            part = pictures.where(own)
            for name, values in fitted.measure_all(part.statistics, part.scores).items():
                found[name][own] = values
        return found


def cross_fit(training: Observations, familiar: Familiar, split: Observations,
              folds: Sequence[Sequence[str]], without: str | None = None) -> CrossFit:
    """
    Fit to training images and a split, cross-fitted by folds of whole runs.

    :param familiar: of the training images alone.
    :param folds: stems of the split; where there is one only, its fit is to the training images.
    :param without: a kind that is not fitted to, so that it can be measured.
    :raises InputError: if the error of no picture is known.
    """
    parts = []
    for fold in folds:
        others = split.where(~np.isin(split.stem, list(fold)))
        parts.append((frozenset(fold), fit_scores(
            training, familiar, without, others if len(folds) > 1 else None)))
    return CrossFit(fit_scores(training, familiar, without, split), tuple(parts))
