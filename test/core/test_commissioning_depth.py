# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How far the metres are off: known answers."""

from __future__ import annotations

from emu_perception.commissioning_depth import check_depth, compare_frame, DepthCheck
from emu_perception.errors import InputError
import numpy as np
import pytest


def frames(ratio: float, sigma: float = 0.1, stated: float = 0.1) -> list:
    """Return six compared frames: predicted = ratio x sensor, with noise of a deviation."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sensor = rng.uniform(1.0, 4.0, (48, 64))
        depth = ratio * sensor + rng.normal(0.0, sigma, sensor.shape)
        sensor[rng.random(sensor.shape) < 0.3] = rng.choice((0.0, np.nan))
        found.append(compare_frame(depth, np.full(depth.shape, stated ** 2), sensor))
    return found


def test_a_factor_is_found_and_said():
    check = check_depth(frames(1.37))
    assert check.ratio == pytest.approx(1.37, abs=0.01) and check.frames == 6
    assert check.between == pytest.approx((1.37, 1.37), abs=0.02)
    assert check.sentence.startswith('depth is 37 % too far here')
    assert check.sentence.endswith(': fine-tune, or give it the depth camera')
    assert check_depth(frames(0.69)).sentence.startswith('depth is 31 % too near here')
    assert check_depth(frames(1.02)).sentence.startswith('depth is right to 2 % here')


@pytest.mark.parametrize(('stated', 'factor'), [(0.1, 1.0), (0.05, 4.0), (0.2, 0.25)])
def test_the_variance_that_makes_intervals_hold(stated, factor):
    check = check_depth(frames(1.0, 0.1, stated))
    assert check.variance_factor == pytest.approx(factor, rel=0.1)
    assert (check.held < 0.85) == (factor > 1.0) and (check.held > 0.95) == (factor < 1.0)


def test_a_sensor_of_another_size_is_compared_pixel_by_pixel():
    sensor = np.kron(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((60, 80)))
    depth = np.kron(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((24, 32)))
    found = compare_frame(depth, np.ones_like(depth), sensor)
    assert found.log_ratio == 0.0 and found.abs_rel == 0.0


def test_a_frame_with_holes_only_is_left_out():
    depth = np.ones((48, 64))
    assert compare_frame(depth, depth, np.zeros((48, 64))) is None
    with pytest.raises(InputError, match='too little in every frame'):
        check_depth([])


@pytest.mark.parametrize('value', [np.nan, np.inf, 0.0])
def test_a_variance_that_is_no_number_or_none_spoils_no_recording(value):
    """One such pixel in 2000 made the factor, and with it the checkpoint's variance, NaN."""
    depth, variance = np.full((48, 64), 2.0), np.full((48, 64), 0.01)
    variance[0] = value
    check = check_depth([compare_frame(depth, variance, depth * 1.05)])
    # Off by one sigma everywhere; where a variance is 0, by more than any interval.
    assert check.variance_factor == pytest.approx((1.0 / 1.6448536) ** 2, rel=1e-3)
    assert np.isfinite(check.held) and check.held > 0.95


def test_words_hold_the_figures():
    text = DepthCheck(24, 1.45, (1.2, 1.6), 0.51, 0.66, 5.0).sentence
    assert '24 frames' in text and '66 %' in text and '45 % too far' in text


@pytest.mark.parametrize(('ratio', 'sigma', 'factor'), [
    (1.4, 0.1, 1.0), (0.6, 0.2, 4.0), (1.0, 0.05, 1.0)])
def test_a_hint_sets_the_scale_right_and_makes_no_interval_narrower(ratio, sigma, factor):
    """Hints get lost: without one nothing that was measured with it holds."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        sensor = rng.uniform(1.0, 4.0, (48, 64))
        depth = ratio * (sensor + rng.normal(0.0, sigma, sensor.shape))
        found.append(compare_frame(depth, np.full(depth.shape, (ratio * 0.1) ** 2), sensor,
                                   as_hint=True))
    check = check_depth(found, as_hint=True)
    assert check.ratio == pytest.approx(ratio, rel=0.02)
    assert check.variance_factor == pytest.approx(factor, rel=0.1) and check.as_hint
    assert 'with the scale of the depth camera' in check.sentence
    assert 'fine-tune' not in check.sentence
