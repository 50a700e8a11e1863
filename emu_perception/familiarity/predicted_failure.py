# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How wrong the maps of a picture are likely to be, fitted to the real error of corrupted images.

Ridge regression of the logarithm of the error, as a multiple of what still counts as good, on a
picture's statistics and other scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emu_perception.errors import InputError
import numpy as np

# A number farther from the fitted images' mean counts as so many deviations: on a picture like no
# other a linear model may say anything.
LIMIT = 3.0
# Of the logarithm that is fitted: how much worse than bad, and how much better, does not matter.
TARGET_LIMIT = 1.0


@dataclass(frozen=True)
class PredictedFailure:
    """
    A linear model; its inputs are the logarithms of scores, then an image's statistics.

    :ivar scores: names of the scores, each above 0.
    :ivar first: of an image's statistics, the first number that is used.
    :ivar mean: float32 [P], of the inputs over the images of the fit.
    :ivar scale: float32 [P], their deviations.
    :ivar weights: float32 [P].
    :ivar bias: the logarithm that the mean image is given.
    """

    scores: tuple[str, ...]
    first: int
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def predicted(self, statistics: np.ndarray, scores: Mapping[str, np.ndarray | float],
                  ) -> np.ndarray:
        """
        Return the error that is expected, as a multiple of what still counts as good.

        :param statistics: [..., N].
        :param scores: by name, [...] each; more may be given.
        :return: float64 [...], above 0; 1 is the line between good and bad.
        :raises InputError: if a score is missing.
        """
        x = inputs(self.scores, self.first, statistics, scores)
        return np.exp(standardised(x, self.mean, self.scale) @ self.weights.astype(np.float64)
                      + self.bias)


def fit_predicted_failure(statistics: np.ndarray, scores: Mapping[str, np.ndarray],
                          error: np.ndarray, *, first: int, penalty: float,
                          weight: np.ndarray | None = None) -> PredictedFailure:
    """
    Fit to pictures whose error is known.

    :param statistics: [n, N].
    :param scores: by name, [n] each, above 0; all are used. Those that were themselves fitted to
        images have to come from a fit to others (see ``training.calibration.familiarity``).
    :param error: [n], above 0; 1 and more is bad.
    :param first: of the statistics, the first that is used.
    :param penalty: of the squared weights, beside the sum of squared errors of n pictures.
    :param weight: [n], of each picture; None = all alike.
    """
    names = tuple(scores)
    x = inputs(names, first, statistics, scores)
    mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = standardised(x, mean, scale)
    w = np.ones(len(z)) if weight is None else weight
    target = np.clip(np.log(error), -TARGET_LIMIT, TARGET_LIMIT)
    # The mean is not penalised: both sides are taken off it.
    middle, bias = np.average(z, axis=0, weights=w), float(np.average(target, weights=w))
    centred = z - middle
    weights = np.linalg.solve((centred * w[:, None]).T @ centred + penalty * np.eye(z.shape[1]),
                              (centred * w[:, None]).T @ (target - bias))
    return PredictedFailure(names, first, mean.astype(np.float32), scale.astype(np.float32),
                            weights.astype(np.float32), bias - float(middle @ weights))


def inputs(names: tuple[str, ...], first: int, statistics: np.ndarray,
           scores: Mapping[str, np.ndarray | float]) -> np.ndarray:
    """Return the model's inputs, float64 [..., P]."""
    missing = [name for name in names if name not in scores]
    if missing:
        raise InputError(f"predicted_failure needs the score '{missing[0]}', which this network "
                         'does not give')
    logarithms = [np.log(np.maximum(scores[name], 1e-9)) for name in names]
    return np.concatenate([np.stack(logarithms, axis=-1), statistics[..., first:]],
                          axis=-1).astype(np.float64)


def standardised(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return numbers in deviations from a mean, none beyond ``LIMIT``."""
    return np.clip((x - mean) / scale, -LIMIT, LIMIT)
