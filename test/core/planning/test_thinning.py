# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fewer pixels, and yet no thin obstacle is lost among them."""

from __future__ import annotations

from emu_perception.planning.thinning import blindest, middles, nearest
import numpy as np
import pytest

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('size', [(48, 64), (7, 5), (1, 1), (480, 640)])
@pytest.mark.parametrize('stride', [1, 3, 4, 64])
def test_middles_are_one_pixel_a_block_inside_the_image(size, stride):
    at = middles(*size, stride)
    rows, columns = at // size[1], at % size[1]
    assert len(np.unique(at)) == len(at) and rows.max() < size[0]
    assert set(np.diff(np.unique(rows))) <= {stride} and set(np.diff(np.unique(columns))) <= {
        stride}
    if stride == 1:
        assert len(at) == size[0] * size[1]


@pytest.mark.parametrize('size', [(48, 64), (7, 5), (11, 64)])
@pytest.mark.parametrize('stride', [1, 2, 4, 64])
def test_nearest_is_the_least_chosen_depth_of_each_block_and_none_of_an_empty_one(size, stride):
    depth = RNG.uniform(1, 9, size).astype(np.float32)
    depth[RNG.random(size) < 0.2] = np.nan
    depth[RNG.random(size) < 0.2] = np.inf
    chosen = RNG.random(size) < 0.5
    expected = set()
    for top in range(0, size[0], stride):
        for left in range(0, size[1], stride):
            block = np.ix_(range(top, min(top + stride, size[0])),
                           range(left, min(left + stride, size[1])))
            good = np.where(chosen[block] & np.isfinite(depth[block]), depth[block], np.inf)
            if np.isfinite(good).any():
                row, column = np.unravel_index(good.argmin(), good.shape)
                expected.add((top + row) * size[1] + left + column)
    assert set(nearest(depth, chosen, stride)) == expected


def test_a_pole_one_pixel_wide_before_a_wall_is_kept():
    depth = np.full((48, 64), 5.0, np.float32)
    depth[:, 33] = 1.0
    at = nearest(depth, np.ones(depth.shape, bool), 4)
    assert (depth.ravel()[at] == 1.0).sum() == 48 // 4
    assert not (depth.ravel()[middles(48, 64, 4)] == 1.0).any(), 'by its place it is lost'


@pytest.mark.parametrize('stride', [1, 3, 4, 64])
def test_a_strip_without_depth_is_found_in_an_image_that_has_much(stride):
    depth = np.full((48, 62), 2.0, np.float32)
    depth[:, -3:] = np.inf  # known to be far
    assert blindest(depth, stride) == 0.0
    depth[12:, 30] = np.nan
    columns = min(stride, 62 - 30 // stride * stride)
    assert blindest(depth, stride) == pytest.approx(0.75 / columns)


def test_nothing_chosen_and_nothing_known_give_nothing():
    depth = np.full((8, 8), np.nan, np.float32)
    assert len(nearest(depth, np.ones((8, 8), bool), 4)) == 0
    assert len(nearest(np.ones((8, 8), np.float32), np.zeros((8, 8), bool), 1)) == 0
