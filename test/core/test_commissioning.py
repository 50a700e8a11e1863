# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A robot's own familiarity and thresholds, from made recordings."""

from __future__ import annotations

import math

from emu_perception.commands.commission import report
from emu_perception.commissioning import commission, raises_of, Recording, spread
from emu_perception.commissioning_depth import DepthCheck
from emu_perception.commissioning_ground import GroundCheck
from emu_perception.errors import InputError
from emu_perception.familiarity import (
    fit_familiarity,
    fit_predicted_failure,
    FittedScores,
    PREDICTED_FAILURE,
    UNFAMILIARITY,
)
from emu_perception.planning.mounting import Mounting
import numpy as np
import pytest

WIDTH, USED = 20, 12
ENTROPY, SIGMA = 'segmentation_entropy', 'relative_depth_sigma'
# Another camera: each channel's mean is elsewhere.
CAMERA = np.where(np.arange(WIDTH) % 3 == 0, 2.5, 0.0).astype(np.float32)


def pictures(count: int, seed: int = 0, shift: np.ndarray | float = 0.0,
             deviation: float = 1.0) -> np.ndarray:
    """Return statistics of pictures, [count, WIDTH]."""
    return (np.random.default_rng(seed).normal(0.0, deviation, (count, WIDTH))
            + shift).astype(np.float32)


def scores(count: int, seed: int = 0, level: float = 1.0) -> dict[str, np.ndarray]:
    """Return mean entropies and relative sigmas."""
    rng = np.random.default_rng(seed)
    return {ENTROPY: level * rng.uniform(0.5, 1.0, count),
            SIGMA: level * rng.uniform(0.1, 0.2, count)}


def recording(count: int = 120, seed: int = 5, period_s: float = 1.0, level: float = 1.0,
              deviation: float = 1.0) -> Recording:
    """Return a robot's frames."""
    return Recording(np.arange(count) * period_s, pictures(count, seed, CAMERA, deviation),
                     scores(count, seed, level))


@pytest.fixture(scope='module')
def fitted() -> FittedScores:
    """Return scores fitted to 400 pictures, whose error is their unfamiliarity."""
    statistics = pictures(400)
    familiarity = fit_familiarity(statistics[:, :USED], USED)
    given = {**scores(400), UNFAMILIARITY: familiarity.unfamiliarity(statistics)}
    return FittedScores(familiarity, fit_predicted_failure(
        statistics, given, 0.5 * given[UNFAMILIARITY], first=USED, penalty=10.0))


THRESHOLDS = {ENTROPY: 1.2, SIGMA: 0.25, UNFAMILIARITY: 2.25, PREDICTED_FAILURE: 0.9}


def test_a_strange_camera_becomes_familiar_and_what_is_strange_to_it_stays_strange(fitted):
    found = commission(fitted, THRESHOLDS, recording())
    assert found.held_out.flagged_before > 0.5 > 0.1 > found.held_out.flagged
    assert found.warnings == ()
    later = pictures(60, 9, CAMERA)
    wrong = pictures(60, 9, CAMERA + np.where(np.arange(WIDTH) % 3 == 1, 4.0, 0.0))
    limit = found.thresholds[UNFAMILIARITY]
    assert (found.fitted.familiarity.unfamiliarity(later) > limit).mean() < 0.1
    assert (found.fitted.familiarity.unfamiliarity(wrong) > limit).all()


def test_thresholds_of_an_error_are_raised_where_needed_and_never_lowered(fitted):
    quiet = commission(fitted, THRESHOLDS, recording(level=0.3)).thresholds
    loud = commission(fitted, THRESHOLDS, recording(level=3.0)).thresholds
    assert quiet[ENTROPY] == THRESHOLDS[ENTROPY] and quiet[SIGMA] == THRESHOLDS[SIGMA]
    assert loud[ENTROPY] > 2.5 and loud[SIGMA] > 0.5
    assert set(quiet) == set(THRESHOLDS)


def test_the_later_part_is_measured_by_a_fit_to_the_earlier(fitted):
    """In the later half a fault: that it is there too must not make it normal there."""
    frames = recording()
    broken = frames.statistics.copy()
    broken[80:100] += np.where(np.arange(WIDTH) % 3 == 1, 6.0, 0.0).astype(np.float32)
    found = commission(fitted, THRESHOLDS, Recording(frames.time_s, broken, frames.scores))
    assert found.held_out.fitted == found.held_out.frames == 60
    assert 20 / 60 <= found.held_out.flagged < 0.45
    assert 20.0 <= found.held_out.longest_s < 24.0
    assert found.held_out.raises_per_minute == pytest.approx(1.0, abs=4.0)


def test_without_time_nothing_is_said_of_a_minute(fitted):
    frames = recording()
    found = commission(fitted, THRESHOLDS, Recording(
        np.zeros_like(frames.time_s), frames.statistics, frames.scores))
    assert found.held_out.raises_per_minute is None and found.held_out.longest_s == 0.0
    first, *_ = report(found, None, stamped=True)
    assert 'how often in a minute is not known' in first and 'e+' not in first


def test_a_depth_camera_and_a_ground_that_disagree_are_said(fitted):
    found = commission(fitted, THRESHOLDS, recording())
    depth = DepthCheck(24, 1.35, (1.1, 1.5), 0.3, 0.8, 2.0)
    for ratio, words in ((1.41, False), (0.8, True)):
        ground = GroundCheck(Mounting(0.6, 0.3), ('floor',), ('floor',), 5, [math.log(ratio)] * 5)
        lines = report(found, depth, stamped=True, ground=ground)
        assert any('tell different metres' in line for line in lines) == words
        assert any(line.startswith('by the ground') for line in lines)


@pytest.mark.parametrize(('frames', 'words'), [
    (recording(20), ('20 frames', '19 s')), (recording(200, period_s=0.1), ('20 s',)),
    (recording(deviation=0.05), ('differ little',))])
def test_what_a_recording_cannot_say_is_said(fitted, frames, words):
    warnings = commission(fitted, THRESHOLDS, frames).warnings
    assert len(warnings) == len(words)
    assert all(word in text for word, text in zip(words, warnings)), warnings


def test_spread_is_a_part_of_the_training_images(fitted):
    # Less than 1: shrinkage has made the smallest variances larger than they are.
    assert spread(fitted, pictures(400)) == pytest.approx(1.0, abs=0.1)
    assert spread(fitted, pictures(400, 3, CAMERA, 0.5)) == pytest.approx(0.25, abs=0.05)


def test_only_scores_with_a_threshold_get_one(fitted):
    found = commission(fitted, {UNFAMILIARITY: 2.25}, recording())
    assert set(found.thresholds) == {UNFAMILIARITY}


@pytest.mark.parametrize(('raised', 'times', 'expected'), [
    ([0, 1, 1, 0, 1, 0], [0, 1, 2, 3, 4, 5], (2, 2.0)),
    ([0, 0, 0], [0, 1, 2], (0, 0.0)),
    ([1, 1, 1], [0, 1, 2], (1, 2.0)),
    ([0, 0, 1], [0, 1, 2], (1, 0.0))])
def test_raises_by_hand(raised, times, expected):
    assert raises_of(np.array(raised, bool), np.array(times, float)) == expected


@pytest.mark.parametrize(('change', 'words'), [
    ({'recording': recording(9)}, '9 frames'), ({'thresholds': {}}, 'no risk thresholds'),
    ({'held_out': 1.0}, 'held_out is 1.0')])
def test_what_cannot_be_commissioned_is_one_line(fitted, change, words):
    arguments = {'thresholds': THRESHOLDS, 'recording': recording(), **change}
    with pytest.raises(InputError, match=words):
        commission(fitted, **arguments)
