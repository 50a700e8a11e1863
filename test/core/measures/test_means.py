# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Mean entropy and mean sigma of an image: what they are of, and what they must not lose."""

from __future__ import annotations

import math

from emu_perception.network_maps import NetworkMaps
from emu_perception.scores import measured, SCORES, scores_of
import pytest
import torch


def scores(entropy: torch.Tensor | None = None,
           variance: torch.Tensor | None = None) -> dict[str, float]:
    """Return the scores of maps with depths of 1 m."""
    depth = None if variance is None else torch.ones_like(variance)
    return {name: float(value) for name, value in measured(
        NetworkMaps(entropy=entropy, depth=depth, depth_variance=variance)).items()}


def test_means_are_of_the_entropy_and_of_the_root_of_the_variance():
    entropy, variance = torch.tensor([[0.1, 0.3]]), torch.tensor([[1.0, 9.0]])
    both = scores(entropy, variance)
    assert both['segmentation_entropy'] == pytest.approx(0.2)
    assert both['depth_sigma'] == pytest.approx(2.0)


def test_a_task_that_is_not_there_has_no_score():
    entropy, variance = torch.tensor([[0.1, 0.3]]), torch.tensor([[1.0, 9.0]])
    assert scores(None, variance).keys() == {row.name for row in scores_of(['depth'])}
    assert scores(entropy).keys() == {row.name for row in scores_of(['segmentation'])}
    assert 'depth_sigma' in scores(None, variance) and 'depth_sigma' not in scores(entropy)


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_one_pixel_that_is_not_finite_shows_in_every_score_of_its_task(bad):
    variance = torch.ones(100, 100)
    variance[3, 4] = bad
    assert not any(math.isfinite(value) for value in scores(None, variance).values())
    assert not math.isfinite(scores(variance)['segmentation_entropy'])


@pytest.mark.slow
def test_means_do_not_lose_small_numbers_among_many_pixels():
    # A running float32 sum of ten million ones stops at 16.7 million.
    many = torch.full((3000, 6000), 0.1)
    many[0, 0] = 1e7
    expected = 0.1 + 1e7 / many.numel()
    assert scores(many)['segmentation_entropy'] == pytest.approx(expected, rel=1e-7)
    assert scores(None, many.square_())['depth_sigma'] == pytest.approx(expected, rel=1e-7)


def test_every_score_is_a_float64_scalar_where_its_maps_are():
    maps = NetworkMaps(*(torch.ones(4, 6) for _ in range(5)))
    assert measured(maps).keys() == {row.name for row in SCORES.values() if not row.fitted}
    for value in measured(maps).values():
        assert value.shape == () and value.dtype == torch.float64
