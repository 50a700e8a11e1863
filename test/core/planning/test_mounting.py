# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Heights above the ground of rooms whose floor and wall are where the arithmetic puts them."""

from __future__ import annotations

import math

from emu_perception.planning.mounting import Mounting
import numpy as np
import pytest

BELOW = ((np.arange(120) - 59.5) / 100.0).astype(np.float32)[:, None]
CAMERA_M, WALL_M, LIMIT_M = 1.0, 3.0, 0.2


def room(pitch):
    """Return depth, HxW, of a floor and a wall across the way, and the true height of each."""
    below = np.tile(BELOW.astype(float), (1, 4))
    forward = math.cos(pitch) - below * math.sin(pitch)
    down = math.sin(pitch) + below * math.cos(pitch)
    with np.errstate(divide='ignore'):
        depth = np.minimum(WALL_M / forward, np.where(down > 0, CAMERA_M / down, np.inf))
    return depth.astype(np.float32), CAMERA_M - depth * down


@pytest.mark.parametrize('pitch', [0.0, math.radians(20.0), -0.2])
def test_what_stands_above_or_lies_below_the_ground_is_not_at_it(pitch):
    depth, height = room(pitch)
    found = Mounting(CAMERA_M, pitch).near_ground(depth, BELOW, LIMIT_M)
    # The depth is rounded to float32, and so are its products with numbers of a few metres.
    clear = np.abs(np.abs(height) - LIMIT_M) > 1e-5
    np.testing.assert_array_equal(found[clear], (np.abs(height) <= LIMIT_M)[clear])
    assert found.any() and (height > 1.0).any() and not found[height > 1.0].any()
    # The same floor seen half as deep again lies below the ground: a hole, or wrong metres.
    sunk = Mounting(CAMERA_M, pitch).near_ground(depth * 1.5, BELOW, LIMIT_M)
    assert not sunk[(np.abs(height) < 1e-6)].any()


def test_what_has_no_height_is_not_at_the_ground():
    for depth in (np.nan, np.inf):
        found = Mounting(CAMERA_M, 0.0).near_ground(
            np.full((3, 2), depth, np.float32), np.float32([[-1.0], [0.0], [1.0]]), 100.0)
        assert not found.any()


def test_limit_as_large_as_any_height_leaves_all_that_has_one():
    depth, _ = room(0.1)
    assert Mounting(CAMERA_M, 0.1).near_ground(depth, BELOW, 100.0).all()
