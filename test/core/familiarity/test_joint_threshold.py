# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Several scores together raise as often as one was asked to."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.familiarity import joint_thresholds, largest_ratio
import numpy as np
import pytest


def scores(count: int = 1000) -> dict[str, np.ndarray]:
    """Return three scores of other units, two of them related."""
    rng = np.random.default_rng(0)
    first = rng.gamma(4.0, 1.0, count)
    return {'a': first, 'b': 100.0 * (first + rng.gamma(2.0, 1.0, count)),
            'c': 0.01 * rng.gamma(9.0, 1.0, count)}


@pytest.mark.parametrize('percentile', [90.0, 95.0])
def test_together_they_flag_what_was_asked_for(percentile):
    limits = joint_thresholds(scores(), percentile)
    flagged = largest_ratio(scores(), limits) > 1
    assert flagged.mean() == pytest.approx(1 - percentile / 100, abs=2e-3)
    alone = {name: np.percentile(values, percentile) for name, values in scores().items()}
    assert (largest_ratio(scores(), alone) > 1).mean() > 1.4 * (1 - percentile / 100)


def test_one_score_alone_is_at_its_percentile():
    values = scores()['a']
    assert joint_thresholds({'a': values}, 95.0)['a'] == pytest.approx(np.percentile(values, 95))


def test_slack_takes_a_score_out_of_the_way():
    limits = joint_thresholds(scores(), 95.0, slack={'b': 10.0})
    assert not (scores()['b'] > limits['b']).any()
    assert limits['a'] < joint_thresholds(scores(), 95.0)['a']


def test_thresholds_that_bad_pictures_leave_room_for_are_raised_as_far():
    clean, bad = scores(), {name: 3.0 * values for name, values in scores(400).items()}
    limits = joint_thresholds(clean, 95.0, bad=bad, recall=0.6)
    assert (largest_ratio(bad, limits) > 1).mean() == pytest.approx(0.6, abs=5e-3)
    assert (largest_ratio(clean, limits) > 1).mean() < 0.05
    # Of the same ratio to one another as without.
    plain = joint_thresholds(clean, 95.0)
    assert {name: limit / plain[name] for name, limit in limits.items()} == pytest.approx(
        dict.fromkeys(limits, limits['a'] / plain['a']))


def test_thresholds_are_never_lowered_for_bad_pictures():
    assert joint_thresholds(scores(), 95.0, bad=scores(), recall=0.9) == joint_thresholds(
        scores(), 95.0)
    none = {name: values[:0] for name, values in scores().items()}
    assert joint_thresholds(scores(), 95.0, bad=none) == joint_thresholds(scores(), 95.0)


def test_a_score_without_a_threshold_does_not_judge():
    assert largest_ratio({'a': np.array([2.0]), 'b': np.array([9.0])}, {'a': 4.0})[0] == 0.5


@pytest.mark.parametrize('values', [{}, {'a': np.array([])}])
def test_no_image_gives_no_threshold(values):
    with pytest.raises(InputError, match='a score of one image or more'):
        joint_thresholds(values, 95.0)


def test_a_score_that_is_always_0_spoils_no_other():
    """As the entropy of a network of one class: its 0/0 made every threshold NaN."""
    clean = {'a': np.zeros(40), 'b': np.linspace(1, 2, 40)}
    limits = joint_thresholds(clean, 95.0)
    assert 0 < limits['a'] <= 1e-5
    assert limits['b'] == pytest.approx(joint_thresholds({'b': clean['b']}, 95.0)['b'])
    assert (largest_ratio(clean, limits) > 1).sum() == (clean['b'] > limits['b']).sum()
    assert joint_thresholds({'a': np.zeros(3)}, 95.0)['a'] > 0
    assert np.isnan(joint_thresholds({'a': np.array([np.nan])}, 95.0)['a']), 'not silently low'
