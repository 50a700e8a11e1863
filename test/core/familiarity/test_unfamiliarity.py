# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How unlike the images of training a picture is: known answers on Gaussians."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.familiarity import Familiarity, fit_familiarity
import numpy as np
import pytest
from scipy import stats


def gaussian(count: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    """Return correlated numbers of very different sizes, [count, 12]."""
    mixing = np.random.default_rng(7).normal(size=(12, 12)) * np.logspace(-2, 2, 12)
    return (np.random.default_rng(seed).normal(size=(count, 12)) @ mixing + 5.0
            + shift * mixing.sum(axis=0)).astype(np.float32)


@pytest.mark.parametrize('components', [12, 5])
def test_squared_distances_of_gaussians_are_chi_squared(components):
    fitted = fit_familiarity(gaussian(20_000), components, shrinkage=0.0)
    squared = components * fitted.unfamiliarity(gaussian(4000, seed=1))
    assert stats.kstest(squared, stats.chi2(components).cdf).pvalue > 0.01


def test_of_the_images_of_the_fit_it_is_about_one():
    values = gaussian(500)
    found = fit_familiarity(values, shrinkage=0.0).unfamiliarity(values)
    assert np.mean(found) == pytest.approx(1.0, rel=1e-3)


def test_a_number_in_other_units_changes_nothing():
    values, others = gaussian(300), gaussian(20, seed=1)
    factor = 2.0 ** np.arange(-6, 6, dtype=np.float32)  # Exact, so that only the order differs.
    one = fit_familiarity(values, 12, 0.0).unfamiliarity(others)
    two = fit_familiarity(values * factor, 12, 0.0).unfamiliarity(others * factor)
    assert two == pytest.approx(one, rel=1e-3)


def test_what_is_farther_off_is_more_unfamiliar():
    fitted = fit_familiarity(gaussian(500))
    means = [fitted.unfamiliarity(gaussian(50, 1, shift)).mean() for shift in (0.0, 1.0, 3.0)]
    assert means[0] < means[1] < means[2]


def test_shrinkage_takes_the_smallest_variances_from_what_few_images_say_of_them():
    """Of few images the small variances come out too small, and new images look strange."""
    few, new = gaussian(16), gaussian(400, seed=1)
    plain, shrunk = (fit_familiarity(few, 12, shrinkage) for shrinkage in (0.0, 0.1))
    assert shrunk.variances[-1] > 5 * plain.variances[-1]
    assert shrunk.variances.sum() == pytest.approx(plain.variances.sum(), rel=1e-4)
    # One, if the sixteen had told all.
    assert 1.0 < shrunk.unfamiliarity(new).mean() < 0.6 * plain.unfamiliarity(new).mean()


def test_no_more_components_than_images_can_tell():
    assert len(fit_familiarity(gaussian(5)).variances) == 4


def test_a_longer_vector_is_judged_by_its_first_numbers():
    values = gaussian(100)
    longer = np.concatenate([values, np.full((100, 3), np.nan, np.float32)], axis=1)
    fitted = fit_familiarity(values)
    assert np.array_equal(fitted.unfamiliarity(longer), fitted.unfamiliarity(values))


def test_a_channel_that_never_changes_is_no_division_by_zero():
    values = gaussian(50)
    values[:, 3] = 0.25
    assert np.isfinite(fit_familiarity(values).unfamiliarity(values)).all()


def test_what_is_not_finite_stays_so():
    values = gaussian(50)
    fitted = fit_familiarity(values)
    values[0, 2] = np.nan
    assert np.isnan(fitted.unfamiliarity(values)[0])


@pytest.mark.parametrize(('values', 'words'), [
    (np.zeros((1, 4)), 'two images or more'), (np.zeros(4), 'two images or more'),
    (np.full((5, 4), np.inf), 'not finite')])
def test_what_cannot_be_fitted_to_is_said(values, words):
    with pytest.raises(InputError, match=words):
        fit_familiarity(values)


# -- together with another camera's images ------------------------------------------------------
def test_a_mixture_is_what_a_fit_to_both_gives():
    one, two = gaussian(4000), gaussian(4000, seed=1, shift=2.0)
    mixed = fit_familiarity(one, 12, 0.0).mixed(two, 0.5)
    both = fit_familiarity(np.concatenate([one, two]), 12, 0.0)
    new = np.concatenate([gaussian(30, 2), gaussian(30, 3, 2.0), gaussian(30, 4, 6.0)])
    assert mixed.unfamiliarity(new) == pytest.approx(both.unfamiliarity(new), rel=0.02)
    assert mixed.count == 8000


def test_others_become_familiar_and_what_is_strange_to_both_stays_so():
    others, later = gaussian(30, 1, shift=3.0), gaussian(30, 2, shift=3.0)
    strange = gaussian(30, 3)
    strange[:, ::2] += 40.0 * gaussian(4000).std(axis=0)[::2]
    before = fit_familiarity(gaussian(700))
    after = before.mixed(others, 0.2)
    assert after.unfamiliarity(later).mean() < 0.25 * before.unfamiliarity(later).mean()
    assert after.unfamiliarity(strange).min() > 4 * after.unfamiliarity(later).max()


@pytest.mark.parametrize('share', [0.0, 1.0, float('nan')])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match='share is'):
        fit_familiarity(gaussian(50)).mixed(gaussian(5), share)


def test_components_are_orthogonal_and_ordered():
    fitted: Familiarity = fit_familiarity(gaussian(200), 6)
    assert fitted.components @ fitted.components.T == pytest.approx(np.eye(6), abs=1e-5)
    assert (np.diff(fitted.variances) <= 0).all()
