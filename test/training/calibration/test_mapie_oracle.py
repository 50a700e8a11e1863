# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ours against MAPIE's, where it has the method: rooms of one pixel, for it knows no groups.

Scaled residuals, LAC and the parameter of risk control are its figures to the last digit. Where
they differ: its APS is randomised (each score less a random part of the last class's probability),
so that ours is compared with the sum it starts from; and where the risk bound equals the rate, it
takes the next parameter and we, as the theorem allows, take that one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training.calibration.class_sets import SET_SCORES
from training.calibration.conformal import controlled, hierarchical_quantile

pytest.importorskip('mapie', reason='MAPIE is not installed: pip install -r requirements/test.txt')
from mapie.classification import SplitConformalClassifier  # noqa: E402
from mapie.conformity_scores import APSConformityScore, ResidualNormalisedScore  # noqa: E402
from mapie.regression import SplitConformalRegressor  # noqa: E402
from mapie.risk_control.methods import find_best_predict_param, get_r_hat_plus  # noqa: E402
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin  # noqa: E402

LEVELS = (0.8, 0.9, 0.95)
FITTED = 200


class _Fitted(BaseEstimator):
    """What has nothing to fit; MAPIE asks for attributes that end with a line."""

    def fit(self, x: np.ndarray, y: Any = None) -> Any:
        """Take note of the classes, for MAPIE."""
        self.fitted_, self.classes_ = True, np.arange(x.shape[1])
        return self


class Column(RegressorMixin, _Fitted):
    """Predicts a column of its input: our depth, or our sigma."""

    def __init__(self, column: int = 0) -> None:
        """Choose it."""
        self.column = column

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return it."""
        return x[:, self.column]


class Probabilities(ClassifierMixin, _Fitted):
    """Its input are probabilities."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return them."""
        return x

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the likeliest class."""
        return x.argmax(1)


def single(scores: np.ndarray) -> list[np.ndarray]:
    """Return groups of one."""
    return [np.array([one]) for one in scores]


def depths(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and sigma [N, 2] and true depths [N] with heavy tails, as rooms have."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.uniform(0.5, 8.0, 500), rng.gamma(2.0, 0.15, 500) + 0.02], 1)
    return x, x[:, 0] + x[:, 1] * rng.standard_t(3, 500)


def classes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities [N, 7], some of them sure, and true classes that follow them."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(7, 0.3), 500)
    return p, np.array([rng.choice(7, p=own) for own in p])


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('seed', [0, 1])
def test_intervals_of_scaled_residuals_are_mapies(level, seed):
    x, y = depths(seed)
    mapie = SplitConformalRegressor(
        Column(0).fit(x), confidence_level=level, prefit=True,
        conformity_score=ResidualNormalisedScore(Column(1).fit(x), prefit=True))
    mapie.conformalize(x[:FITTED], y[:FITTED])
    _, intervals = mapie.predict_interval(x[FITTED:])
    factor = hierarchical_quantile(single(np.abs(y - x[:, 0])[:FITTED] / x[:FITTED, 1]), level)
    depth, sigma = x[FITTED:].T
    np.testing.assert_allclose(intervals[..., 0].T, [depth - factor * sigma,
                                                     depth + factor * sigma], rtol=1e-12)


@pytest.mark.parametrize('level', LEVELS)
@pytest.mark.parametrize('seed', [0, 1])
def test_lac_sets_are_mapies(level, seed):
    p, label = classes(seed)
    mapie = SplitConformalClassifier(Probabilities().fit(p), confidence_level=level,
                                     conformity_score='lac', prefit=True)
    mapie.conformalize(p[:FITTED], label[:FITTED])
    _, sets = mapie.predict_set(p[FITTED:])
    way, q = SET_SCORES['lac'], torch.from_numpy(p)
    threshold = hierarchical_quantile(single(
        way.of(q[:FITTED], torch.from_numpy(label[:FITTED])).numpy()), level)
    assert np.array_equal(sets[..., 0], (way.scores(q[FITTED:]) <= threshold).numpy())


def test_aps_is_mapies_before_its_random_part():
    p, label = classes(0)
    theirs, _ = APSConformityScore.get_true_label_cumsum_proba(label, p, np.arange(7))
    ours = SET_SCORES['aps'].of(torch.from_numpy(p), torch.from_numpy(label))
    np.testing.assert_allclose(ours, theirs[:, 0], rtol=1e-12)


@pytest.mark.parametrize('rate', [0.1, 0.2, 0.4])
def test_the_parameter_of_risk_control_is_mapies(rate):
    rng = np.random.default_rng(3)
    parameters = np.arange(0, 1, 0.01)
    losses = np.sort(rng.beta(0.4, 3.0, (15, 100)), axis=1)[:, ::-1] * (1 - parameters)
    _, bound = get_r_hat_plus(losses, parameters, 'crc', None, None, None)
    theirs = find_best_predict_param(parameters, bound, np.array([rate]))
    assert controlled(losses, parameters, rate) == theirs[0]
