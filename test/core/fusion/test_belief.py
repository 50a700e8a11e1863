# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The scale is learned from hints, held without them, and its uncertainty never shrinks alone."""

from __future__ import annotations

import math

from emu_perception.fusion import FactorReading, ScaleBelief
from emu_perception.fusion.belief import CAMERA_S, SCENE_S
from emu_perception.fusion.constants import TRAINING_CAMERA_SIGMA, UNKNOWN_CAMERA_SIGMA
import pytest


def read(log_factor: float, sigma: float = 0.03) -> FactorReading:
    """Return a reading."""
    return FactorReading(log_factor, sigma)


def test_priors_are_those_of_the_cameras():
    assert ScaleBelief.before(0.0).sigma == pytest.approx(TRAINING_CAMERA_SIGMA)
    # Student's t of four degrees of freedom has twice its scale's variance.
    assert ScaleBelief.before().sigma == pytest.approx(
        math.sqrt(2 * UNKNOWN_CAMERA_SIGMA ** 2 + TRAINING_CAMERA_SIGMA ** 2))
    assert ScaleBelief.before().factor == 1.0


def test_one_hint_tells_the_factor_to_its_own_accuracy():
    belief = ScaleBelief.before().updated(read(math.log(0.7)))
    assert belief.factor == pytest.approx(0.7, rel=0.01)
    assert belief.sigma == pytest.approx(0.03, rel=0.01)


@pytest.mark.parametrize('sigma', [0.0, UNKNOWN_CAMERA_SIGMA])
def test_without_a_hint_it_grows_and_ends_at_the_prior(sigma):
    before = ScaleBelief.before(sigma)
    belief = before.updated(read(0.3))
    sigmas = [belief.after(seconds).sigma for seconds in (0, 0.1, 1, 10, 100, 1e3, 1e4, 1e6)]
    assert sigmas == sorted(sigmas) and sigmas[-1] == pytest.approx(before.sigma)
    assert belief.after(1e6).log_factor == pytest.approx(0.0, abs=1e-9)


def test_a_hint_lost_for_a_second_leaves_the_scale_where_it_was():
    belief = ScaleBelief.before().updated(read(math.log(0.7)))
    # No part of it is forgotten faster than the scene's.
    kept = math.exp(-1.0 / SCENE_S)
    assert 0 > belief.after(1.0).log_factor >= belief.log_factor
    assert belief.after(1.0).log_factor <= kept * belief.log_factor
    assert CAMERA_S > SCENE_S


def test_time_that_runs_back_makes_nothing_more_certain():
    belief = ScaleBelief.before().updated(read(0.1))
    assert belief.after(-5.0) == belief.after(0.0)


def test_images_of_one_room_do_not_average_down_and_those_of_many_rooms_tell_the_camera():
    room = ScaleBelief.before()
    for _ in range(300):  # ten seconds of a video
        room = room.after(1 / 30).updated(read(0.2))
    rooms = ScaleBelief.before()
    for _ in range(30):
        rooms = rooms.after(10 * SCENE_S).updated(read(0.2))
    # In the next room the scene's part is unknown again: below it nothing has gone.
    assert room.after(10 * SCENE_S).sigma > rooms.after(10 * SCENE_S).sigma
    assert rooms.after(10 * SCENE_S).sigma > TRAINING_CAMERA_SIGMA * (1 - 1e-6)


def test_a_worthless_reading_changes_nothing():
    before = ScaleBelief.before()
    after = before.updated(read(2.0, sigma=1e6))
    assert after.log_factor == pytest.approx(0.0, abs=1e-9)
    assert after.sigma == pytest.approx(before.sigma)
