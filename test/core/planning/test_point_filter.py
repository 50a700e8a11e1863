# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What passes a filter, and what of it counts as lost."""

from __future__ import annotations

from emu_perception.planning.point_filter import PointFilter
import numpy as np
import pytest

RAYS = (np.linspace(-1, 1, 6, dtype=np.float32)[None, :],
        np.linspace(-0.5, 0.5, 4, dtype=np.float32)[:, None])
DEPTH = np.tile(np.arange(1, 7, dtype=np.float32), (4, 1))
VARIANCE = np.full((4, 6), 0.25, np.float32)  # sigma 0.5 m
ENTROPY = np.repeat(np.array([[0.1], [0.2], [0.3], [0.4]], np.float32), 6, axis=1)
LABEL = np.repeat(np.array([[0], [1], [2], [255]], np.uint8), 6, axis=1)


def choose(depth=DEPTH, **limits):
    at, lost = PointFilter(**limits).choose(depth, RAYS, variance=VARIANCE, entropy=ENTROPY,
                                            label=LABEL)
    kept = np.zeros(24, bool)
    kept[at] = True
    assert kept.sum() == len(at)
    return kept.reshape(4, 6), lost


def test_without_limits_all_that_is_known_stays():
    depth = DEPTH.copy()
    depth[0, 0], depth[1, 1] = np.nan, np.inf
    kept, lost = choose(depth)
    assert kept.sum() == 22 and not kept[0, 0] and not kept[1, 1]
    assert lost == pytest.approx(1 / 24), 'beyond the range is known to be far'


def test_relative_sigma_is_sigma_over_depth():
    kept, lost = choose(max_relative_sigma=0.2)
    assert (kept == (0.5 / DEPTH <= 0.2)).all() and lost == pytest.approx(2 / 6)


def test_sigma_has_its_limit_in_metres():
    assert choose(max_sigma_m=0.4)[1] == 1.0 and choose(max_sigma_m=0.6)[0].all()


def test_entropy_has_its_limit():
    kept, lost = choose(max_entropy=0.25)
    assert (kept == (ENTROPY < 0.25)).all() and lost == 0.5


def test_range_is_from_the_camera_and_no_loss():
    kept, lost = choose(max_range_m=4.0)
    distance = DEPTH * np.sqrt(1 + RAYS[0] ** 2 + RAYS[1] ** 2)
    assert (kept == (distance <= 4.0)).all() and lost == 0.0


def test_classes_are_a_choice_and_no_loss():
    table = np.zeros(256, bool)
    table[1] = True
    kept, lost = choose(classes=table)
    assert (kept == (LABEL == 1)).all() and lost == 0.0


def test_unknown_depth_is_lost_whatever_the_limits_and_a_missing_map_loses_all():
    depth = np.full((4, 6), np.nan, np.float32)
    kept, lost = choose(depth, max_relative_sigma=9.0, max_range_m=99.0, max_entropy=9.0)
    assert not kept.any() and lost == 1.0
    for limits in ({'max_sigma_m': 9.0}, {'max_relative_sigma': 1.0}, {'max_entropy': 1.0}):
        assert PointFilter(**limits).choose(DEPTH, RAYS)[1] == 1.0
    at, lost = PointFilter(classes=np.ones(256, bool)).choose(DEPTH, RAYS)
    assert len(at) == 0 and lost == 0.0


def test_sigma_and_entropy_that_are_no_numbers_are_not_believed():
    at, lost = PointFilter(max_relative_sigma=9.0, max_entropy=9.0).choose(
        DEPTH, RAYS, variance=VARIANCE * np.nan, entropy=ENTROPY)
    assert len(at) == 0 and lost == 1.0
    assert PointFilter(max_entropy=9.0).choose(DEPTH, RAYS, entropy=ENTROPY * np.nan)[1] == 1.0


def test_a_cube_has_one_point_the_first():
    kept, lost = choose(voxel_m=100.0)
    # x and y have both signs: four cubes of 100 m meet at the optical axis.
    assert kept.sum() == 4 and kept[0, 0] and lost == 0.0
    assert choose(voxel_m=1e-3)[0].all()


@pytest.mark.parametrize('voxel_m', [1e-5, 1e-9, 1e-300])
def test_cubes_too_small_to_be_counted_lose_no_far_points(voxel_m):
    assert choose(DEPTH * np.float32(100.0), voxel_m=voxel_m)[0].all()


def test_stride_takes_the_middles_of_blocks():
    kept, _ = choose(stride=2)
    assert list(zip(*np.nonzero(kept))) == [(r, c) for r in (1, 3) for c in (1, 3, 5)]
