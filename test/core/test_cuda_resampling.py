# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Resizing as weighted gathers is OpenCV's resizing."""

from __future__ import annotations

import cv2
from emu_perception.kernels.resampling import (
    area_taps,
    image_taps,
    linear_taps,
    MAX_TAPS,
    nearest_taps,
    resized_levels,
)
from emu_perception.preprocessing import resized_image
import numpy as np
import pytest
from rounding import rounding, weights_error
import torch

# Shrinking by whole and broken factors, growing, one axis each way, one axis unchanged.
IMAGES = [((96, 128), (48, 64)), ((96, 128), (24, 32)), ((480, 640), (160, 213)),
          ((270, 480), (96, 192)), ((97, 131), (96, 128)), ((48, 64), (96, 128)),
          ((33, 200), (96, 128)), ((100, 300), (200, 140)), ((300, 100), (70, 290)),
          ((96, 128), (40, 128)), ((96, 128), (96, 64)), ((121, 121), (61, 120))]


@pytest.mark.parametrize(('source', 'target'), IMAGES, ids=str)
def test_an_image_is_resized_as_on_the_cpu_to_one_grey_level(source, target):
    image = np.random.default_rng(0).integers(0, 256, (*source, 3), np.uint8)
    taps = image_taps(source, target)
    found = resized_levels(torch.from_numpy(image), taps).numpy()
    difference = np.abs(found - resized_image(image, target))
    assert found.shape == (*target, 3) and np.array_equal(found, np.round(found))
    # OpenCV enlarges with 11 bits and cuts off between the axes, which is up to half a level and
    # changes the rounding of no more than half of the pixels; shrinking has whole floats, of
    # which a thousandth may lie that near to a half.
    shrinks = source[0] * source[1] > target[0] * target[1]
    assert difference.max() <= 1
    both = shrinks and source[0] >= target[0] and source[1] >= target[1]
    assert difference.mean() < (0.001 if both else 0.5)


def test_an_image_that_fits_is_not_resized():
    assert image_taps((96, 128), (96, 128)) is None


def test_a_constant_image_stays_constant_to_the_last_bit():
    image = torch.full((123, 217, 3), 201, dtype=torch.uint8)
    for target in ((50, 60), (200, 300), (50, 300)):
        assert resized_levels(image, image_taps((123, 217), target)).unique().tolist() == [201.0]


@pytest.mark.parametrize(('source', 'target'), [
    ((24, 32), (120, 160)), ((13, 23), (27, 61)), ((120, 160), (50, 33)), ((7, 9), (300, 9))],
    ids=str)
def test_maps_are_resized_as_on_the_cpu(source, target):
    values = np.random.default_rng(1).normal(size=source).astype(np.float32)
    # Both have two products and a sum for each axis; OpenCV's coordinates are float32.
    linear = weights_error(torch.from_numpy(values), target) + 2 * rounding(
        8, float(np.abs(values).max()))
    for make, mode, tolerance in ((linear_taps, cv2.INTER_LINEAR, linear),
                                  (nearest_taps, cv2.INTER_NEAREST_EXACT, 0.0)):
        rows, columns = (make(a, b) for a, b in zip(source, target))
        found = columns.apply(rows.apply(torch.from_numpy(values), 0), 1).numpy()
        expected = cv2.resize(values, target[::-1], interpolation=mode)
        assert found.dtype == np.float32
        assert np.allclose(found, expected, rtol=0, atol=tolerance)


def test_labels_keep_their_type_and_values():
    values = np.random.default_rng(2).choice([0, 7, 255], (9, 11))
    label = torch.from_numpy(values.astype(np.uint8))
    found = nearest_taps(11, 40).apply(nearest_taps(9, 31).apply(label, 0), 1)
    assert found.dtype == torch.uint8 and set(found.unique().tolist()) == {0, 7, 255}


def test_the_taps_of_an_axis_sum_to_one_and_are_no_more_than_needed():
    for make in (area_taps, linear_taps):
        for source, target in ((640, 160), (640, 213), (33, 32), (32, 32)):
            weight = make(source, target).weight
            assert (weight.double().sum(0) - 1).abs().max() <= rounding(len(weight))
            assert len(weight) <= source // target + 2
    assert len(area_taps(640, 160).weight) == 4 < MAX_TAPS
