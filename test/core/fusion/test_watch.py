# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network whose metres stop to hold is noticed, one whose rooms change is not suspected."""

from __future__ import annotations

from collections.abc import Iterator
import math
import re

from emu_perception.fusion.watch import CalibrationWatch
import numpy as np
import pytest

# Measured on NYUv2's val: log ratios of rooms, of a room's images, and of an image's pixels.
ROOM, IMAGE, PIXEL, RELATIVE = 0.09, 0.10, 0.16, 0.2
IMAGES_OF_A_ROOM = 8
APART_S = 30.0


def walk(seed: int, factor: float = 1.0) -> Iterator[np.ndarray]:
    """Yield log ratios of images, room after room, of a network that says ``factor`` too much."""
    rng = np.random.default_rng(seed)
    while True:
        room = rng.normal(0.0, ROOM)
        for _ in range(IMAGES_OF_A_ROOM):
            yield room + rng.normal(0.0, IMAGE) + rng.normal(0.0, PIXEL, 400) - math.log(factor)


def watched(watch: CalibrationWatch, images: Iterator[np.ndarray], count: int,
            seconds: float = APART_S) -> Iterator[CalibrationWatch]:
    """Yield the watch after each image."""
    for _ in range(count):
        ratio = next(images)
        watch = watch.after(ratio, np.full(len(ratio), RELATIVE), seconds)
        yield watch


def test_a_thousand_images_of_changing_rooms_raise_at_most_one_false_alarm():
    alarms = 0
    for seed in range(5):
        raised = [bool(one.problem) for one in watched(CalibrationWatch(), walk(seed), 1000)]
        alarms += sum(now and not before for before, now in zip([False, *raised], raised))
    assert alarms <= 5


@pytest.mark.parametrize(('factor', 'images'), [(1.5, 10), (1 / 1.5, 10), (1.2, 60),
                                                (1 / 1.2, 60)])
def test_a_network_that_is_off_from_image_40_on_is_noticed_in_time(factor, images):
    noticed = []
    for seed in range(20):
        *_, watch = watched(CalibrationWatch(), walk(seed), 40)
        assert not watch.problem
        noticed.append(any(one.problem for one in watched(watch, walk(99 + seed, factor),
                                                          images)))
    # In 95 of 100 walks, as it was measured.
    assert sum(noticed) >= 19


def test_what_is_said_names_the_ratio_and_the_coverage():
    *_, watch = watched(CalibrationWatch(), walk(0, 1.5), 80)
    # Of 1 / 1.5, the last rooms by up to two of their standard deviations less or more.
    assert re.search(r'the depth camera sees 0\.[5678]\d of the metres', watch.problem)
    assert 'of its depths lie inside the 90 % intervals' in watch.problem


def test_it_is_taken_back_when_all_holds_again():
    *_, watch = watched(CalibrationWatch(), walk(0, 1.5), 20)
    assert watch.problem
    *_, watch = watched(watch, walk(1), 200)
    assert not watch.problem


def test_a_video_of_one_room_weighs_as_little_as_the_room():
    rng = np.random.default_rng(0)
    # Two standard deviations of rooms off: half an hour of driving has several such.
    room = (2 * ROOM + rng.normal(0.0, PIXEL, 400) for _ in range(10_000))
    *_, watch = watched(CalibrationWatch(), room, 300, seconds=1 / 30)
    assert not watch.problem


@pytest.mark.parametrize('factor', [1.0, 1.5, 1 / 1.5])
def test_widened_intervals_hold_again_and_never_become_narrower(factor):
    widening = CalibrationWatch()
    held = []
    images = walk(3, factor)
    for index in range(400):
        ratio = next(images)
        if index >= 100:
            held.append(np.mean(np.abs(np.expm1(ratio)) <= 1.645 * RELATIVE * widening.widening))
        widening = widening.after(ratio, np.full(len(ratio), RELATIVE), APART_S)
        assert widening.widening >= 1.0
    assert np.mean(held) == pytest.approx(0.9, abs=0.05)


def test_an_image_without_a_hint_says_nothing():
    watch = CalibrationWatch(slow=0.1)
    assert watch.after(np.zeros(0), np.zeros(0), 1.0) is watch
