# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Both fitted scores of an image, and their way through a checkpoint's arrays."""

from __future__ import annotations

from emu_perception.errors import CheckpointError
from emu_perception.familiarity import (
    fit_familiarity,
    fit_predicted_failure,
    FittedScores,
    load_fitted_scores,
    PREDICTED_FAILURE,
    UNFAMILIARITY,
)
import numpy as np
import pytest

AVAILABLE = ('segmentation_entropy', 'relative_depth_sigma')
LENGTH = 4


@pytest.fixture
def fitted() -> FittedScores:
    """Return scores fitted to noise."""
    rng = np.random.default_rng(0)
    statistics = rng.normal(size=(80, 7)).astype(np.float32)
    familiarity = fit_familiarity(statistics[:, :LENGTH])
    scores = {name: rng.uniform(0.1, 2.0, 80) for name in AVAILABLE}
    scores[UNFAMILIARITY] = familiarity.unfamiliarity(statistics)
    return FittedScores(familiarity, fit_predicted_failure(
        statistics, scores, rng.uniform(0.2, 2.0, 80), first=LENGTH, penalty=1.0))


IMAGE = np.linspace(-1.0, 1.0, 7, dtype=np.float32)
SCORES = {'segmentation_entropy': 0.7, 'relative_depth_sigma': 0.2, 'depth_sigma': 0.4}


def test_both_are_measured_and_failure_reads_unfamiliarity(fitted):
    found = fitted.measure(IMAGE, SCORES)
    assert set(found) == {UNFAMILIARITY, PREDICTED_FAILURE}
    assert all(isinstance(value, float) for value in found.values())
    assert found[PREDICTED_FAILURE] == pytest.approx(float(fitted.failure.predicted(
        IMAGE, {**SCORES, UNFAMILIARITY: found[UNFAMILIARITY]})))


def test_arrays_bring_back_the_same_scores(fitted):
    arrays = fitted.arrays()
    assert all(values.dtype == np.float32 and values.size for values in arrays.values())
    again = load_fitted_scores(arrays, AVAILABLE)
    assert again.measure(IMAGE, SCORES) == pytest.approx(fitted.measure(IMAGE, SCORES), rel=1e-6)
    assert again.familiarity.count == 80


def test_familiarity_alone_is_kept_too(fitted):
    again = load_fitted_scores(FittedScores(fitted.familiarity).arrays(), AVAILABLE)
    assert again.failure is None and set(again.measure(IMAGE, {})) == {UNFAMILIARITY}


def test_a_checkpoint_without_them_has_none():
    assert load_fitted_scores({}, AVAILABLE) is None
    assert load_fitted_scores({'other': np.zeros(3)}, AVAILABLE) is None


@pytest.mark.parametrize(('name', 'change', 'words'), [
    ('mean', None, 'has no familiarity.mean'),
    ('scale', lambda x: x[:-1], r'familiarity.scale is \[3\], not \[4\]'),
    ('components', lambda x: x[:, :-1], 'familiarity.components is'),
    ('variances', lambda x: -x, 'variances holds a value that is not above 0'),
    ('mean', lambda x: np.full_like(x, np.nan), 'mean holds a value that is not finite'),
    ('failure.weights', lambda x: x[None], 'failure.weights is'),
    ('failure.scale', lambda x: x[1:], 'failure.scale is'),
    ('failure.bias', None, 'has no familiarity.failure.bias')])
def test_damaged_arrays_are_named(fitted, name, change, words):
    arrays = dict(fitted.arrays())
    key = f'familiarity.{name}'
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    with pytest.raises(CheckpointError, match=f'file.safetensors.*{words}'):
        load_fitted_scores(arrays, AVAILABLE, 'file.safetensors')


def test_statistics_that_are_no_number_give_none(fitted):
    found = fitted.measure(np.full(7, np.nan, np.float32), SCORES)
    assert all(np.isnan(value) for value in found.values())
