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
    limits = joint_thresholds(scores(), 95.0, {'b': 10.0})
    assert not (scores()['b'] > limits['b']).any()
    assert limits['a'] < joint_thresholds(scores(), 95.0)['a']


def test_a_score_without_a_threshold_does_not_judge():
    assert largest_ratio({'a': np.array([2.0]), 'b': np.array([9.0])}, {'a': 4.0})[0] == 0.5


@pytest.mark.parametrize('values', [{}, {'a': np.array([])}])
def test_no_image_gives_no_threshold(values):
    with pytest.raises(InputError, match='a score of one image or more'):
        joint_thresholds(values, 95.0)
