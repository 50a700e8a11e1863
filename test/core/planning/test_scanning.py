# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A scan against rooms whose walls are where the arithmetic puts them."""

from __future__ import annotations

from dataclasses import replace
import math

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.planning.scanning import Mounting, scan
import numpy as np
import pytest

WIDTH, HEIGHT, F = 160, 120, 100.0
CAMERA = judge(pinhole_info(WIDTH, HEIGHT, F), WIDTH, HEIGHT, rectified=True, what='test').camera
RIGHT, BELOW = (rays.astype(float) for rays in CAMERA.rays())
PITCH = math.radians(20.0)
ALL = np.ones((HEIGHT, WIDTH), bool)


def level(pitch):
    """Return forward and down metres of a level frame, a metre of depth, HxW."""
    ones = np.ones((HEIGHT, WIDTH))
    return ((math.cos(pitch) - BELOW * math.sin(pitch)) * ones,
            (math.sin(pitch) + BELOW * math.cos(pitch)) * ones)


def room(pitch, wall_m=3.0, camera_m=1.0):
    """Return the depth of a floor and of a wall across the way, from a camera above the floor."""
    forward, down = level(pitch)
    wall = wall_m / forward
    with np.errstate(divide='ignore'):
        floor = np.where(down > 0, camera_m / np.where(down > 0, down, 1.0), np.inf)
    return np.minimum(wall, floor).astype(np.float32), floor < wall


def take(depth, obstacle=ALL, pitch=PITCH, heights=(0.1, 1.5), camera_m=1.0, increment=1.0,
         nearest=None):
    return scan(depth, obstacle, CAMERA, Mounting(camera_m, pitch), heights_m=heights,
                increment_rad=math.radians(increment), nearest=nearest)


def angles(found):
    return found.angle_min + np.arange(len(found.ranges)) * found.angle_increment


@pytest.mark.parametrize('pitch', [0.0, PITCH, -0.2])
def test_a_wall_across_the_way_is_at_its_distance_in_every_direction(pitch):
    depth, floor = room(pitch)
    found = take(depth, ~floor, pitch)
    ahead = np.isfinite(found.ranges)
    # Pixels of one direction are within half an increment of it: the wall is 3 / cos there.
    at = np.abs(angles(found)[ahead])
    half = found.angle_increment / 2
    assert ahead.sum() > 40
    assert (found.ranges[ahead] >= 3.0 / np.cos(np.maximum(at - half, 0)) - 1e-4).all()
    assert (found.ranges[ahead] <= 3.0 / np.cos(at + half) + 1e-4).all()
    assert found.angle_min == pytest.approx(-found.angle_max) and found.blind == 0.0


def test_the_floor_is_below_the_band_even_where_no_class_says_so():
    depth, floor = room(PITCH, wall_m=50.0)
    found = take(np.where(floor, depth, np.inf).astype(np.float32))
    assert np.isnan(found.ranges).all()
    low = take(np.where(floor, depth, np.inf).astype(np.float32), heights=(-0.1, 1.5))
    assert np.isfinite(low.ranges).any()


def test_left_in_the_image_is_a_positive_angle():
    depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    depth[HEIGHT // 2, 10] = 2.0
    found = take(depth, pitch=0.0)
    (seen,) = np.flatnonzero(np.isfinite(found.ranges))
    assert angles(found)[seen] == pytest.approx(math.atan(-RIGHT[0, 10]),
                                                abs=found.angle_increment)
    assert angles(found)[seen] > 0.3
    assert found.ranges[seen] == pytest.approx(2.0 * math.hypot(1.0, RIGHT[0, 10]), rel=1e-5)


@pytest.mark.parametrize('height_m, seen', [(0.05, False), (0.5, True), (1.4, True),
                                            (1.6, False)])
def test_only_what_is_within_the_band_of_heights_is_an_obstacle(height_m, seen):
    down = level(0.0)[1]
    depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    row = int(np.abs(down[:, 0] - (1.0 - height_m) / 2.0).argmin())
    depth[row] = 2.0
    assert np.isfinite(take(depth, pitch=0.0).ranges).any() == seen


def test_the_nearest_of_a_direction_counts_and_what_is_no_obstacle_does_not():
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[60:62, 80] = 1.0
    assert np.nanmin(take(depth, pitch=0.0).ranges) == pytest.approx(1.0, abs=0.01)
    obstacle = ALL.copy()
    obstacle[60:62, 80] = False
    assert np.nanmin(take(depth, obstacle, pitch=0.0).ranges) == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize('value', [np.inf, np.nan])
def test_what_is_not_seen_is_nan_and_never_infinite(value):
    found = take(np.full((HEIGHT, WIDTH), value, np.float32))
    assert np.isnan(found.ranges).all()
    assert found.blind == (1.0 if np.isnan(value) else 0.0)


def test_one_direction_without_depth_is_told_of_though_the_image_has_much():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[:, 70:76] = np.nan
    assert take(depth, pitch=0.0).blind == 1.0
    assert take(depth, pitch=0.0, increment=10.0).blind < 1.0


def test_directions_are_never_finer_than_a_pixel_so_that_none_is_empty():
    found = take(np.full((HEIGHT, WIDTH), 2.0, np.float32), pitch=0.0, increment=0.1)
    assert found.angle_increment >= 1.0 / F - 1e-4
    assert np.isfinite(found.ranges[2:-2]).all()


@pytest.mark.parametrize('nearer', [1.0, 0.75, 0.2, 0.0])
@pytest.mark.parametrize('camera_m, heights', [(1.0, (0.1, 0.5)), (1.0, (0.1, 1.5)),
                                               (0.2, (0.6, 1.5))])
def test_an_obstacle_stays_in_the_band_whatever_the_doubt_in_its_distance(
        nearer, camera_m, heights):
    """Moved along its ray a point also moves in height, towards the camera's."""
    forward, down = level(0.0)
    depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    height_m = (heights[0] + min(heights[1], 0.9)) / 2
    row = int(np.abs(down[:, 0] - (camera_m - height_m) / 2.0).argmin())
    depth[row] = 2.0
    found = take(depth, pitch=0.0, camera_m=camera_m, heights=heights,
                 nearest=np.where(depth == 2.0, np.float32(2.0 * nearer), depth))
    seen = np.isfinite(found.ranges)
    assert seen[2:-2].all()
    # The nearest of the ray between 2 m * nearer and 2 m that is within the heights.
    z = np.linspace(2.0 * nearer, 2.0, 2001)
    inside = z[(camera_m - z * down[row, 0] >= heights[0] - 1e-6)
               & (camera_m - z * down[row, 0] <= heights[1] + 1e-6)]
    assert found.ranges[len(found.ranges) // 2] == pytest.approx(
        inside[0] * forward[row, 0], abs=2e-3)


def test_a_distance_whose_doubt_is_not_known_is_not_known():
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    found = take(depth, pitch=0.0, nearest=np.full_like(depth, np.nan))
    assert np.isnan(found.ranges).all() and found.blind == 1.0


def test_a_view_without_any_direction_is_blind():
    found = scan(np.full((HEIGHT, WIDTH), 2.0, np.float32), ALL, replace(CAMERA, cy=-1000.0),
                 Mounting(1.0, PITCH), heights_m=(0.1, 1.5), increment_rad=0.01)
    assert np.isnan(found.ranges).all() and found.blind == 1.0
