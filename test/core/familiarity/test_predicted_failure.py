# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The error that is expected of a picture: a line that is found again, and its limits."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.familiarity import fit_predicted_failure
import numpy as np
import pytest


def pictures(count: int = 2000, seed: int = 0) -> tuple[np.ndarray, dict, np.ndarray]:
    """Return statistics [n, 6], scores and the error that they make, noise apart."""
    rng = np.random.default_rng(seed)
    statistics = rng.normal(size=(count, 6)).astype(np.float32)
    scores = {'one': np.exp(rng.normal(0.0, 0.5, count)), 'two': rng.uniform(0.5, 2.0, count)}
    logarithm = (0.2 * statistics[:, 4] + 0.3 * np.log(scores['one']) - 0.1
                 + rng.normal(0.0, 0.05, count))
    return statistics, scores, np.exp(logarithm)


def test_a_line_is_found_again():
    model = fit_predicted_failure(*pictures(), first=2, penalty=1e-3)
    statistics, scores, error = pictures(200, seed=1)
    found = model.predicted(statistics, scores)
    assert np.log(found) == pytest.approx(np.log(error), abs=0.25)
    assert np.corrcoef(np.log(found), np.log(error))[0, 1] > 0.97


def test_statistics_before_the_first_are_not_read():
    statistics, scores, error = pictures()
    model = fit_predicted_failure(statistics, scores, error, first=2, penalty=1.0)
    changed = statistics.copy()
    changed[:, :2] = np.nan
    assert np.array_equal(model.predicted(changed, scores), model.predicted(statistics, scores))


def test_a_large_penalty_leaves_the_mean():
    statistics, scores, error = pictures()
    model = fit_predicted_failure(statistics, scores, error, first=0, penalty=1e9)
    found = model.predicted(statistics, scores)
    assert found == pytest.approx(np.exp(np.clip(np.log(error), -1, 1).mean()), rel=1e-3)


def test_a_picture_like_no_other_cannot_be_called_good_without_end():
    statistics, scores, error = pictures()
    model = fit_predicted_failure(statistics, scores, error, first=0, penalty=1.0)
    wild = statistics[:1].copy()
    one = scores['one'][:1]
    found = []
    for value in (-10.0, -1e3, -1e9):
        wild[:, 4] = value
        found.append(float(model.predicted(wild, {'one': one, 'two': scores['two'][:1]})[0]))
    assert found[0] == found[1] == found[2] > 0.1


def test_a_weight_counts_a_picture_so_often():
    statistics, scores, error = pictures(60)
    weight = np.random.default_rng(0).integers(1, 4, 60)
    repeated = [np.repeat(part, weight, axis=0) for part in (statistics, error)]
    many = {name: np.repeat(values, weight) for name, values in scores.items()}
    # The same inputs' mean and scale: weights are not theirs.
    one = fit_predicted_failure(statistics, scores, error, first=0, penalty=1e-6,
                                weight=weight.astype(float))
    two = fit_predicted_failure(repeated[0], many, repeated[1], first=0, penalty=1e-6)
    assert two.predicted(statistics, scores) == pytest.approx(one.predicted(statistics, scores),
                                                              rel=0.02)


def test_one_picture_is_as_it_is_among_many():
    statistics, scores, error = pictures(50)
    model = fit_predicted_failure(statistics, scores, error, first=1, penalty=1.0)
    many = model.predicted(statistics, scores)
    one = model.predicted(statistics[7], {name: float(v[7]) for name, v in scores.items()})
    assert float(one) == pytest.approx(many[7], rel=1e-6)


def test_a_score_that_is_missing_is_named():
    statistics, scores, error = pictures(50)
    model = fit_predicted_failure(statistics, scores, error, first=1, penalty=1.0)
    with pytest.raises(InputError, match="needs the score 'two'"):
        model.predicted(statistics, {'one': scores['one']})
