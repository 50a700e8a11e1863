# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Relative depth sigma: free of the lens, and no broken depth speaks for certainty."""

from __future__ import annotations

import math

from emu_perception.measures import depth_sigma
from emu_perception.measures.relative_depth_sigma import measure
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.depth_forms import DEPTH_FORMS
from emu_perception.scores import fitted_scores
import pytest
import torch


def maps(depth: list[float], sigma: list[float]) -> NetworkMaps:
    """Return maps of one row of pixels, metres."""
    return NetworkMaps(depth=torch.tensor([depth]),
                       depth_variance=torch.tensor([sigma]).square())


def test_it_is_the_mean_of_the_ratio_and_not_the_ratio_of_the_means():
    value = measure(maps([1.0, 4.0], [0.5, 0.4]))
    assert value.dtype == torch.float64 and value.ndim == 0
    assert float(value) == pytest.approx((0.5 + 0.1) / 2)


def test_neither_the_lens_nor_the_size_of_the_room_changes_it():
    room = maps([0.8, 2.0, 7.0], [0.1, 0.3, 0.9])
    for factor in (0.5, 2.0):
        other = room.calibrated(factor, factor ** 2)
        assert float(measure(other)) == pytest.approx(float(measure(room)))
        assert float(depth_sigma.measure(other)) == pytest.approx(
            factor * float(depth_sigma.measure(room)))


def test_a_depth_of_nothing_makes_it_large_and_finite():
    assert 1.0 < float(measure(maps([0.0, 2.0], [0.1, 0.1]))) < math.inf
    # A variance of 0 is no certainty where there is no depth either, but nothing to divide.
    assert math.isfinite(float(measure(maps([0.0], [0.0]))))


def test_a_log_depth_that_vanishes_with_its_sigma_is_no_certainty():
    raw = torch.tensor([[-200.0, 0.5], [-3.0, -3.0]]).view(1, 2, 1, 2)
    depth, variance = (part[0] for part in DEPTH_FORMS['log'].moments(raw))
    assert float(depth[0, 0]) == float(variance[0, 0]) == 0.0
    sure = float(measure(NetworkMaps(depth=depth[:, 1:], depth_variance=variance[:, 1:])))
    found = float(measure(NetworkMaps(depth=depth, depth_variance=variance)))
    assert sure < 0.1 and found == pytest.approx((1.0 + sure) / 2)


@pytest.mark.parametrize(('depth', 'sigma'), [
    ([math.nan, 2.0], [0.1, 0.1]), ([2.0, 2.0], [math.nan, 0.1]), ([2.0, 2.0], [math.inf, 0.1]),
    ([0.0, 2.0], [math.nan, 0.1])])
def test_what_is_no_number_stays_none(depth, sigma):
    assert not math.isfinite(float(measure(maps(depth, sigma))))


def test_pixels_at_infinity_do_not_speak_for_certainty():
    assert float(measure(maps([math.inf, 2.0], [0.5, 0.4]))) == pytest.approx(0.2)
    assert 1.0 < float(measure(maps([math.inf, math.inf], [0.5, 0.4]))) < math.inf


def test_calibration_fits_it_in_place_of_the_sigma_in_metres():
    assert [row.name for row in fitted_scores(('segmentation', 'depth'))] == [
        'segmentation_entropy', 'relative_depth_sigma']
