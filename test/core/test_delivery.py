# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures in other colours or lying down: what is asked, and when a recording is doubted."""

from __future__ import annotations

import math

from emu_perception.delivery import DELIVERIES, doubt, FEWEST, LEAST, margin
import numpy as np
import pytest

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
# How a picture that stands as it should arrives by each wrong delivery.
DELIVERED = {'swapped': PICTURE[..., ::-1], 'upside_down': PICTURE[::-1, ::-1],
             'on_left_side': PICTURE.transpose(1, 0, 2)[::-1],
             'on_right_side': PICTURE.transpose(1, 0, 2)[:, ::-1]}


@pytest.mark.parametrize('name', DELIVERIES)
def test_what_was_delivered_wrongly_is_put_right(name):
    redone = DELIVERIES[name].redo(DELIVERED[name])
    np.testing.assert_array_equal(redone, PICTURE)
    assert redone.flags.c_contiguous


def test_a_margin_is_the_sum_of_the_logarithms_of_the_ratios():
    scores = {'segmentation_entropy': 0.5, 'relative_depth_sigma': 0.1}
    worse = {'segmentation_entropy': 1.0, 'relative_depth_sigma': 0.3}
    assert margin(scores, worse) == pytest.approx(math.log(2.0) + math.log(3.0))
    assert margin(worse, scores) == pytest.approx(-margin(scores, worse))
    assert margin(scores, scores) == 0.0


@pytest.mark.parametrize('odd', [math.nan, math.inf, 0.0, -1.0])
def test_a_score_that_says_nothing_makes_a_margin_that_says_nothing(odd):
    good = {'segmentation_entropy': 0.5}
    assert math.isnan(margin({'segmentation_entropy': odd}, good))
    assert math.isnan(margin(good, {'segmentation_entropy': odd}))
    assert math.isnan(margin(good, {})) and math.isnan(margin({}, good))


def margins(**values: list[float]) -> dict[str, np.ndarray]:
    """Return margins in which all deliveries but those given are worse."""
    return {name: np.array(values.get(name, [1.0] * FEWEST)) for name in DELIVERIES}


def test_a_recording_is_doubted_where_most_pictures_speak_for_another_delivery():
    found = doubt(margins(swapped=[-0.5] * 8 + [0.5] * 2))
    assert found is not None and found.delivery is DELIVERIES['swapped']
    assert (found.pictures, found.share, found.margin) == (10, 0.8, -0.5)
    assert '80 % of 10 images' in found.sentence and 'bgr8' in found.sentence


@pytest.mark.parametrize('values', [
    [0.5] * FEWEST, [-0.5] * 7 + [0.5] * 3, [0.0] * FEWEST, [-0.9 * LEAST] * FEWEST,
    [-0.5] * (FEWEST - 1), [-0.5] * (FEWEST - 1) + [math.nan], [math.nan] * FEWEST, []])
def test_it_is_not_where_too_few_speak_or_too_softly(values):
    assert doubt(margins(swapped=values)) is None


def test_of_several_the_one_that_speaks_most_is_named():
    found = doubt(margins(on_left_side=[-0.3] * 12, upside_down=[-0.9] * 12))
    assert found is not None and found.delivery.name == 'upside_down'
