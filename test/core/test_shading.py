# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Dark corners are found in a recording, and nothing is said of what a room has by itself."""

from __future__ import annotations

from emu_perception.corruptions.unseen import vignette
from emu_perception.shading import corner_light, dark_corners, FEWEST, LEAST
import numpy as np
import pytest

HEIGHT, WIDTH = 60, 80


def lit(*corners: float, middle: int = 200, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """Return a picture whose quarters, left and right, above and below, have parts of a light."""
    height, width = size
    rgb = np.zeros((height, width, 3), np.uint8)
    above, right = np.arange(height) < height // 2, np.arange(width) >= width // 2
    for index, corner in enumerate(corners):
        rows, columns = above if index < 2 else ~above, right if index % 2 else ~right
        rgb[np.ix_(rows, columns)] = round(corner * middle)
    far = np.hypot(*(np.mgrid[:height, :width] - np.array([height, width]).reshape(2, 1, 1) / 2))
    rgb[far < 0.5 * np.hypot(height / 2, width / 2)] = middle
    return rgb


@pytest.mark.parametrize('size', [(60, 80), (80, 60), (480, 640), (90, 160), (7, 9)])
def test_each_corner_is_compared_with_the_middle(size):
    light = corner_light(lit(0.2, 0.4, 0.6, 0.8, size=size))
    np.testing.assert_allclose(light, [0.2, 0.4, 0.6, 0.8], atol=0.04)


def test_a_black_image_says_nothing():
    np.testing.assert_array_equal(corner_light(np.zeros((48, 64, 3), np.uint8)), 1.0)
    assert dark_corners([np.ones(4)] * FEWEST) == ''


@pytest.mark.parametrize(('lights', 'dark'), [
    ([[0.9 * LEAST] * 4] * FEWEST, True),
    ([[0.9 * LEAST] * 4] * (FEWEST - 1), False),  # Too few.
    ([[1.1 * LEAST] * 4] * FEWEST, False),
    # A robot's own arms, or a dark floor, are in some of the corners.
    ([[1.0, 0.1, 0.1, 0.1]] * FEWEST, False),
    # One dark scene among others, or one bright one.
    ([[0.1] * 4] * 4 + [[0.9] * 4] * 6, False), ([[0.1] * 4] * 6 + [[0.9] * 4] * 4, True)])
def test_most_pictures_have_to_be_dark_in_all_four(lights, dark):
    said = dark_corners([np.array(light) for light in lights])
    assert bool(said) is dark
    if dark:
        assert 'corners of the images are dark' in said and f'{len(lights)} images' in said


def test_a_hood_is_found_before_pictures_of_all_kinds():
    rng = np.random.default_rng(0)
    rooms = [lit(*rng.uniform(0.4, 1.2, 4), middle=int(rng.integers(20, 200)))
             for _ in range(2 * FEWEST)]
    assert dark_corners([corner_light(room) for room in rooms]) == ''
    assert 'hood' in dark_corners([corner_light(vignette(room, rng)) for room in rooms])
