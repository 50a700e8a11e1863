# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The sensor where it sees, the network corrected by it where it does not; never false metres."""

from __future__ import annotations

from dataclasses import replace
import math

from emu_perception.errors import InputError
from emu_perception.fusion import (
    checked_hint,
    CORRECTED,
    FITTED,
    fuse,
    Fused,
    NETWORK,
    ScaleBelief,
    SENSOR,
    UNKNOWN,
)
from emu_perception.fusion.hint import DepthHint
import numpy as np
import pytest

SIZE = (96, 128)
PICTURE = np.full((*SIZE, 3), 120, np.uint8)
TRUE_FACTOR = 0.7


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the truth, the network's depth, by one factor too far, and its variance."""
    rows = np.linspace(5.0, 1.0, SIZE[0], dtype=np.float32)[:, None]
    truth = np.repeat(rows, SIZE[1], 1)
    depth = truth / np.float32(TRUE_FACTOR)
    return truth, depth, (0.2 * depth) ** 2


def hint_of(truth: np.ndarray, hidden: np.ndarray) -> DepthHint:
    """Return what a sensor sees of the truth."""
    return checked_hint(np.where(hidden, np.float32(0), truth), None, truth.shape)


def right_half() -> np.ndarray:
    """Return a mask of the right half."""
    return np.tile(np.arange(SIZE[1]) >= SIZE[1] // 2, (SIZE[0], 1))


def joined(hidden: np.ndarray, **changes: object) -> tuple[np.ndarray, Fused]:
    """Return the truth and its fusion, part of it hidden."""
    truth, depth, variance = scene()
    return truth, fuse(PICTURE, depth, variance, hint_of(truth, hidden), ScaleBelief.before())


def test_sensor_pixels_go_through_as_they_are_and_holes_get_its_scale():
    hidden = right_half()
    truth, fused = joined(hidden)
    assert np.array_equal(fused.depth[~hidden], truth[~hidden])
    assert (fused.source[~hidden] == SENSOR).all() and not (fused.source[hidden] == SENSOR).any()
    assert {CORRECTED} <= set(fused.source[hidden]) <= {CORRECTED, NETWORK}
    # The network's shape is right here, and its factor the sensor's to tell. What is left is
    # the grid's: a row of the picture is up to two cells from the one it was compared with.
    assert np.abs(np.log(fused.depth[hidden] / truth[hidden])).max() < 0.05
    assert fused.reading is not None
    off = abs(fused.reading.log_factor - np.log(TRUE_FACTOR))
    assert off < 1.645 * fused.reading.sigma, 'outside of the 90 % interval'
    assert fused.reading.factor == pytest.approx(TRUE_FACTOR, rel=0.02)


def test_a_focal_length_that_is_wrong_changes_nothing_but_the_factor():
    truth, depth, variance = scene()
    hint = hint_of(truth, right_half())
    right = fuse(PICTURE, depth, variance, hint, ScaleBelief.before())
    wrong = fuse(PICTURE, depth * np.float32(1.3), variance * np.float32(1.69), hint,
                 ScaleBelief.before())
    assert np.abs(np.log(wrong.depth / right.depth)).max() < 0.01
    assert right.reading and wrong.reading
    assert right.reading.factor / wrong.reading.factor == pytest.approx(1.3, rel=1e-4)


def test_sigma_grows_away_from_the_hint_and_is_the_sensors_where_it_sees():
    hidden = right_half()
    truth, fused = joined(hidden)
    relative = np.sqrt(fused.variance) / fused.depth
    row = relative[SIZE[0] // 2, SIZE[1] // 2 + 2:]
    assert (np.diff(row) >= -1e-6).all() and row[-1] > 1.5 * row[0]
    expected = 0.005 + 0.0025 * truth[~hidden] ** 2
    assert np.sqrt(fused.variance[~hidden]) == pytest.approx(expected, rel=1e-5)


def between(left: float, right: float) -> np.ndarray:
    """Return relative sigma in a hole between hints that see two factors of the network."""
    truth, depth, variance = scene()
    hidden = np.zeros(SIZE, bool)
    hidden[:, 56:72] = True
    half = np.tile(np.arange(SIZE[1]) < SIZE[1] // 2, (SIZE[0], 1))
    seen = depth * np.where(half, np.float32(left), np.float32(right))
    fused = fuse(PICTURE, depth, variance, hint_of(seen, hidden), ScaleBelief.before())
    return (np.sqrt(fused.variance) / fused.depth)[40:60, 60:68]


def test_between_hints_that_dissent_sigma_is_wider_and_never_below_what_all_share():
    one, other = between(0.7, 0.7), between(0.9, 0.6)
    assert other.mean() > 1.5 * one.mean()
    truth, fused = joined(right_half())
    relative = np.sqrt(fused.variance) / fused.depth
    assert (relative[right_half()] >= fused.belief.sigma * (1 - 1e-5)).all()


@pytest.mark.parametrize('name', ['beyond', 'dissent'])
def test_each_term_widens_and_none_narrows(name):
    truth, depth, variance = scene()
    seen = truth * np.random.default_rng(0).lognormal(0.0, 0.1, SIZE).astype(np.float32)
    hint = hint_of(seen, truth > 4.0)
    without = fuse(PICTURE, depth, variance, hint, ScaleBelief.before(),
                   replace(FITTED, **{name: 0.0}))
    fused = fuse(PICTURE, depth, variance, hint, ScaleBelief.before())
    assert np.array_equal(fused.depth, without.depth)
    assert (fused.variance >= without.variance * (1 - 1e-6)).all()
    assert (fused.variance > 1.01 * without.variance).any()


def test_without_a_hint_the_scale_is_held_and_no_pixel_is_more_certain_than_the_network():
    truth, depth, variance = scene()
    belief = fuse(PICTURE, depth, variance, hint_of(truth, right_half()),
                  ScaleBelief.before()).belief
    held = fuse(PICTURE, depth, variance, None, belief.after(0.1))
    later = fuse(PICTURE, depth, variance, None, belief.after(60.0))
    assert (held.source == NETWORK).all() and held.reading is None
    assert np.abs(np.log(held.depth / truth)).max() < 0.05
    network = np.sqrt(variance) / depth
    assert (np.sqrt(held.variance) / held.depth >= network * (1 - 1e-6)).all()
    assert (np.sqrt(later.variance) / later.depth > np.sqrt(held.variance) / held.depth).all()


def test_too_few_hints_tell_no_scale_but_go_through():
    truth, depth, variance = scene()
    hidden = np.ones(SIZE, bool)
    hidden[10, 10] = False
    fused = fuse(PICTURE, depth, variance, hint_of(truth, hidden), ScaleBelief.before())
    assert fused.reading is None and fused.belief == ScaleBelief.before()
    assert fused.depth[10, 10] == truth[10, 10] and (fused.source == SENSOR).sum() == 1
    assert np.array_equal(fused.depth[hidden], depth[hidden])


def test_what_the_network_does_not_know_stays_unknown_unless_the_sensor_sees_it():
    truth, depth, variance = scene()
    depth[40:50, :], depth[60:70, :] = np.nan, np.inf
    hidden = right_half()
    fused = fuse(PICTURE, depth, variance, hint_of(truth, hidden), ScaleBelief.before())
    unknown = np.isnan(depth)
    assert np.isnan(fused.depth[unknown & hidden]).all()
    assert (fused.source[unknown & hidden] == UNKNOWN).all()
    assert np.isposinf(fused.depth[np.isinf(depth) & hidden]).all()
    assert np.array_equal(fused.depth[~hidden], truth[~hidden])
    assert np.isfinite(fused.variance).all()


def test_an_empty_hint_is_no_hint():
    _, depth, variance = scene()
    empty = checked_hint(np.zeros(SIZE, np.uint16), None, SIZE)
    fused = fuse(PICTURE, depth, variance, empty, ScaleBelief.before())
    assert np.array_equal(fused.depth, depth) and (fused.source == NETWORK).all()


def test_outliers_of_the_sensor_do_not_move_the_factor():
    truth, depth, variance = scene()
    rng = np.random.default_rng(0)
    wrong = rng.random(SIZE) < 0.05
    seen = np.where(wrong, rng.uniform(0.3, 8.0, SIZE).astype(np.float32), truth)
    hidden = right_half()
    fused = fuse(PICTURE, depth, variance, hint_of(seen, hidden), ScaleBelief.before())
    assert fused.reading is not None
    assert fused.reading.factor == pytest.approx(TRUE_FACTOR, rel=0.02)
    assert np.median(np.abs(np.log(fused.depth[hidden] / truth[hidden]))) < 0.05


def test_holes_beyond_the_sensors_limit_are_taken_for_far_and_others_are_not():
    rows = np.linspace(6.0, 1.0, SIZE[0], dtype=np.float32)[:, None]
    truth = np.repeat(rows, SIZE[1], 1)
    # As networks do: what is far is said nearer.
    depth = np.where(truth > 3.0, 3.0 + 0.4 * (truth - 3.0), truth).astype(np.float32)
    variance = (0.2 * depth) ** 2
    plain = replace(FITTED, beyond=0.0)
    far = truth > 4.0
    fused = fuse(PICTURE, depth, variance, hint_of(truth, far), ScaleBelief.before())
    assert fused.depth[far].mean() > depth[far].mean()
    # Where as much is hidden nearby, a hole tells nothing of distance.
    scattered = np.random.default_rng(0).random((12, 16)) < 0.5
    everywhere = np.kron(scattered, np.ones((8, 8), bool)) | far
    one = fuse(PICTURE, depth, variance, hint_of(truth, everywhere), ScaleBelief.before(), plain)
    other = fuse(PICTURE, depth, variance, hint_of(truth, everywhere), ScaleBelief.before())
    assert np.array_equal(one.variance, other.variance)


def test_the_maps_may_be_of_another_size_than_picture_and_hint():
    truth, depth, variance = scene()
    small = fuse(PICTURE, np.ascontiguousarray(depth[::2, ::2]),
                 np.ascontiguousarray(variance[::2, ::2]), hint_of(truth, right_half()),
                 ScaleBelief.before())
    assert small.depth.shape == small.variance.shape == small.source.shape == (48, 64)
    assert small.source[10, 10] == SENSOR and small.source[10, -10] != SENSOR


@pytest.mark.parametrize(('depth', 'sigma', 'words'), [
    (np.zeros((96, 127), np.float32), None, 'depth_hint is 127x96, the image 128x96'),
    (np.zeros(SIZE, np.uint8), None, 'depth_hint is uint8 [96, 128]'),
    (np.zeros((*SIZE, 1), np.float32), None, 'depth_hint is float32 [96, 128, 1]'),
    ('depth', None, 'depth_hint is str'),
    (np.zeros(SIZE, np.float32), 0.0, 'hint_sigma'),
    (np.zeros(SIZE, np.float32), math.nan, 'hint_sigma'),
    (np.zeros(SIZE, np.float32), np.ones((3, 3)), 'hint_sigma is of shape [3, 3]')])
def test_a_hint_that_cannot_be_of_the_image_is_refused(depth, sigma, words):
    with pytest.raises(InputError, match=words.replace('[', r'\[')):
        checked_hint(depth, sigma, SIZE)


def test_millimetres_and_metres_are_one_and_nonsense_is_nothing_seen():
    millimetres = np.zeros(SIZE, np.uint16)
    millimetres[0, :2] = 1234, 65534
    metres = np.full(SIZE, np.nan, np.float32)
    metres[0, :5] = 1.234, 65.534, -1.0, np.inf, 1e30
    one, other = (checked_hint(values, None, SIZE) for values in (millimetres, metres))
    assert np.array_equal(one.known, other.known) and one.known.sum() == 2
    assert one.depth[0, :2] == pytest.approx(other.depth[0, :2])


# -- contradictions -----------------------------------------------------------------------------
def behind_glass() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what a sensor sees through a pane in a wall, the pane, and a network's view."""
    seen = np.full(SIZE, 2.0, np.float32)
    pane = np.zeros(SIZE, bool)
    pane[24:72, 40:88] = True
    seen[pane] = 6.0
    depth = np.full(SIZE, 2.0, np.float32)
    return seen, pane, depth, (0.15 * depth) ** 2


def with_policy(policy: str) -> tuple[np.ndarray, np.ndarray, Fused]:
    """Return what the sensor saw, where its pane is, and the fusion by a policy."""
    seen, pane, depth, variance = behind_glass()
    picture = np.where(pane[..., None], np.uint8(200), np.uint8(90)).repeat(3, 2)
    return seen, pane, fuse(picture, depth, variance, hint_of(seen, np.zeros(SIZE, bool)),
                            ScaleBelief.before(), contradictions=policy)


def test_what_is_seen_behind_a_pane_goes_through_unless_somebody_asks():
    seen, _, fused = with_policy('off')
    assert np.array_equal(fused.depth, seen) and fused.contradicted == 0
    seen, pane, fused = with_policy('count')
    assert np.array_equal(fused.depth, seen)
    # A cell of the grid is more than one pixel of this small picture.
    assert 0.8 * pane.sum() < fused.contradicted < 1.2 * pane.sum()


def test_a_pane_is_nearer_or_unknown_and_nothing_else_changes():
    seen, pane, fused = with_policy('nearer')
    changed = fused.depth != seen
    assert changed[30:66, 46:82].all() and not changed[:20].any()
    assert (fused.depth[changed] < seen[changed]).all()
    assert np.median(fused.depth[pane]) == pytest.approx(2.0, rel=0.1)
    assert (fused.source[changed] == CORRECTED).all()
    seen, pane, fused = with_policy('nan')
    unknown = np.isnan(fused.depth)
    assert unknown[30:66, 46:82].all() and not unknown[:20].any()
    assert (fused.source[unknown] == UNKNOWN).all()
    assert np.array_equal(fused.depth[~unknown], seen[~unknown])


@pytest.mark.parametrize('policy', ['nan', 'nearer'])
@pytest.mark.parametrize('seed', range(4))
def test_whatever_is_replaced_nothing_becomes_farther(policy, seed):
    rng = np.random.default_rng(seed)
    seen = np.exp(rng.normal(0.5, 0.6, SIZE)).astype(np.float32)
    depth = np.exp(rng.normal(0.5, 0.6, SIZE)).astype(np.float32)
    depth[:10], depth[10:20] = np.nan, np.inf
    hidden = rng.random(SIZE) < 0.3
    fused = fuse(PICTURE, depth, (0.2 * np.nan_to_num(depth, posinf=9.0)) ** 2,
                 hint_of(seen, hidden), ScaleBelief.before(), contradictions=policy)
    assert fused.contradicted
    was = ~hidden & np.isfinite(fused.depth)
    assert (fused.depth[was] <= seen[was]).all()
    assert not np.isinf(fused.depth[~hidden]).any()


def test_a_pixel_between_near_and_far_flies_and_an_edge_does_not():
    seen = np.where(np.arange(SIZE[1]) < 64, 1.0, 3.0).astype(np.float32)[None].repeat(SIZE[0], 0)
    depth = seen.copy()
    seen[40, 64] = 2.0
    fused = fuse(PICTURE, depth, (0.2 * depth) ** 2, hint_of(seen, np.zeros(SIZE, bool)),
                 ScaleBelief.before(), contradictions='nearer')
    assert fused.contradicted == 1 and fused.depth[40, 64] == 1.0
