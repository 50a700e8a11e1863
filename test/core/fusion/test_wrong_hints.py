# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""No hint, however wrong, lets wrong metres out or makes them more certain."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.fusion import (
    CalibrationWatch,
    checked_hint,
    FactorReading,
    fuse,
    refusal,
    ScaleBelief,
)
import numpy as np
import pytest

SIZE = (96, 128)
PICTURE = np.full((*SIZE, 3), 120, np.uint8)
DEPTH = np.repeat(np.linspace(1, 5, SIZE[0], dtype=np.float32)[:, None], SIZE[1], 1)
PANE = np.zeros(SIZE, bool)
PANE[40:56, 40:80] = True


@pytest.mark.parametrize('wrong', [np.full(SIZE, 65534, np.uint16), 10 * DEPTH, 0.1 * DEPTH])
def test_a_hint_of_other_units_is_refused_and_leaves_the_scale(wrong):
    before = ScaleBelief.before()
    fused = fuse(PICTURE, DEPTH, (0.15 * DEPTH) ** 2, checked_hint(wrong, None, SIZE), before)
    assert fused.refused and fused.belief == before and not (fused.source == 2).any()
    assert np.array_equal(fused.depth, DEPTH)


@pytest.mark.parametrize('make', [
    lambda: np.where(PANE, 65535, 1e3 * DEPTH).astype(np.uint16),
    lambda: np.where(PANE, 65535, 1e3 * DEPTH).astype('>u2'),
    # As depth_image_proc makes metres of it.
    lambda: np.where(PANE, 65535, 1e3 * DEPTH).astype(np.float32) * np.float32(1e-3),
    lambda: np.ma.masked_array(np.where(PANE, np.float32(9.0), DEPTH), PANE),
    lambda: np.ma.masked_array((1e3 * DEPTH).astype(np.uint16), PANE)])
def test_what_a_sensor_says_it_has_not_seen_is_never_its_depth(make):
    """A pane of glass would be a free way of 65 metres."""
    hint = checked_hint(make(), None, SIZE)
    assert np.array_equal(hint.known, ~PANE)
    fused = fuse(PICTURE, DEPTH, (0.15 * DEPTH) ** 2, hint, ScaleBelief.before())
    assert not (fused.source[PANE] == 2).any() and (fused.source[~PANE] == 2).all()
    assert fused.depth[PANE] == pytest.approx(DEPTH[PANE], rel=0.1)


def test_a_sigma_that_is_none_is_refused_in_one_line():
    for sigma in (0.0, 'a', np.ma.masked_array(DEPTH, PANE), np.full(SIZE, np.nan)):
        with pytest.raises(InputError, match='hint_sigma is of shape'):
            checked_hint(DEPTH, sigma, SIZE)


def test_one_wrong_image_is_not_believed_and_soon_forgotten():
    belief = ScaleBelief.before()
    for _ in range(600):
        belief = belief.after(0.1).updated(FactorReading(0.0, 0.05))
    wrong = belief.updated(FactorReading(1.1, 0.006))
    assert wrong.sigma > 0.5 and abs(wrong.camera - belief.camera) < 0.1
    again = wrong.updated(FactorReading(0.0, 0.05))
    for _ in range(5):
        again = again.after(0.1).updated(FactorReading(0.0, 0.05))
    assert abs(again.log_factor) < 0.1


def test_a_robot_that_stands_still_learns_no_more_than_one_image_says():
    belief = ScaleBelief.before()
    for _ in range(1800):
        belief = belief.after(1 / 30).updated(FactorReading(0.05, 0.05))
    assert belief.sigma >= 0.05 - 1e-9


@pytest.mark.parametrize('policy', ['nan', 'nearer'])
@pytest.mark.parametrize('times', [2.5, 3.5, 8.0])
def test_the_farther_behind_the_pane_the_less_it_goes_through(policy, times):
    seen, pane = DEPTH.copy(), np.zeros(SIZE, bool)
    pane[32:64, 40:88] = True
    seen[pane] *= np.float32(times)
    picture = np.where(pane[..., None], np.uint8(200), np.uint8(120)).repeat(3, 2)
    fused = fuse(picture, DEPTH, (0.15 * DEPTH) ** 2, checked_hint(seen, None, SIZE),
                 ScaleBelief.before(), contradictions=policy)
    assert not (fused.source[36:60, 44:84] == 2).any()


def test_counting_changes_nothing_but_the_count():
    seen = DEPTH.copy()
    seen[:, :50] *= np.float32(1.35)
    seen[:, ::3] = 0
    picture = np.where((np.arange(128) < 50)[None, :, None], np.uint8(60), PICTURE)
    found = {policy: fuse(picture, DEPTH, (0.08 * DEPTH) ** 2, checked_hint(seen, None, SIZE),
                          ScaleBelief.before(), contradictions=policy)
             for policy in ('off', 'count', 'nan')}
    assert found['count'].contradicted and np.array_equal(found['off'].depth, found['count'].depth)
    covered = {policy: CalibrationWatch().after(
        one.correction.compared.log_ratio, one.correction.compared.relative, 9e9).covered
        for policy, one in found.items()}
    assert len(set(covered.values())) == 1


def test_metres_that_are_millimetres_are_one_clear_line():
    with pytest.raises(InputError, match='is it in millimetres'):
        checked_hint(1000 * DEPTH, None, SIZE)
    # Nothing seen is no mistake.
    for nothing in (0.0, np.nan, np.inf):
        assert not checked_hint(np.full(SIZE, nothing, np.float32), None, SIZE).known.any()


@pytest.mark.parametrize('times', [1e-3, 0.05, 1.0, 2.0, 10.0, 25.0])
def test_pixels_too_few_for_a_scale_go_through_unless_they_are_far_too_far(times):
    seen, there = np.zeros(SIZE, np.float32), (slice(40, 44), slice(50, 54))
    seen[there] = DEPTH[there] * np.float32(times)
    fused = fuse(PICTURE, DEPTH, (0.15 * DEPTH) ** 2, checked_hint(seen, None, SIZE),
                 ScaleBelief.before())
    expected = DEPTH if times >= 10.0 else np.where(seen > 0, seen, DEPTH)
    assert np.array_equal(fused.depth, expected)
    assert fused.refused == (times >= 10.0)
    assert not fused.refused or refusal(fused).startswith(f'it sees {times:.2g} of the metres')
    assert not fuse(PICTURE, DEPTH, (0.15 * DEPTH) ** 2, checked_hint(seen, None, SIZE),
                    ScaleBelief.before(), any_scale=True).refused
