# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Promises over rooms: by hand, against MAPIE where it has the method, and in simulated rooms."""

from __future__ import annotations

from dataclasses import replace
import json
import math

from emu_perception.checkpoint import Calibration
from emu_perception.promises import label_set_size
import numpy as np
import pytest
import torch
from training.calibration.class_sets import ENTROPY, SET_SCORES
from training.calibration.conformal import controlled, hierarchical_quantile
from training.calibration.constants import DepthSample, Observation
from training.calibration.controlled_rate import controlled_rate, rate_lines
from training.calibration.promise_fit import (
    DEPTH_INTERVAL,
    fitted_promises,
    LABEL_SET_SIZE,
    promise_lines,
    scaled,
    sides,
)
from training.reporting.promises import promises_figure


def rooms(rng, count, spread=0.3):
    """Return residuals of rooms of 1 to 40 pixels, each with a bias and a width of its own."""
    return [rng.normal(rng.normal(0, spread), rng.uniform(0.5, 1.5), rng.integers(1, 40))
            for _ in range(count)]


def test_a_room_counts_once_however_many_pixels_it_has():
    """Masses of 1/4 a room, of the last the infinite one: 0.75 is reached with all the rooms."""
    many = [np.full(1000, 1.0), np.array([2.0]), np.array([3.0, 4.0])]
    assert hierarchical_quantile(many, 0.25) == 1.0 and hierarchical_quantile(many, 0.26) == 2.0
    assert hierarchical_quantile(many, 0.6) == 3.0 and hierarchical_quantile(many, 0.75) == 4.0
    assert hierarchical_quantile(many, 0.76) == math.inf
    assert hierarchical_quantile(many, 0.76, new_group=False) == 3.0


@pytest.mark.parametrize('count, level, finite', [(15, 0.9, True), (15, 0.9375, True),
                                                  (15, 0.95, False), (18, 0.95, False),
                                                  (19, 0.95, True)])
def test_a_promise_ends_where_the_rooms_end(count, level, finite):
    found = hierarchical_quantile([np.array([float(i), 0.0]) for i in range(count)], level)
    assert math.isfinite(found) is finite


def test_rooms_of_one_pixel_are_split_conformal_prediction():
    scores = np.random.default_rng(0).exponential(size=87)
    for level in (0.5, 0.8, 0.9, 0.95):
        rank = math.ceil(88 * level)
        assert hierarchical_quantile([np.array([one]) for one in scores], level) \
            == np.sort(scores)[rank - 1]


@pytest.mark.parametrize('bad', [[], [np.array([])]])
def test_what_says_nothing_is_refused(bad):
    with pytest.raises(ValueError, match='each group'):
        hierarchical_quantile(bad, 0.9)
    with pytest.raises(ValueError, match='level'):
        hierarchical_quantile([np.ones(3)], 1.0)


def test_what_is_promised_holds_on_average_over_new_rooms():
    """
    2000 times 15 rooms and a new one: the mean of what held is 0.8 or more, up to chance.

    What held of a room is in 0..1, so that the mean of 2000 is off by 5 of its standard
    deviations, each at most 0.5 / sqrt(2000), once in millions.
    """
    rng, held = np.random.default_rng(1), []
    for _ in range(2000):
        *fitted, new = rooms(rng, 16)
        held.append((np.abs(new) <= hierarchical_quantile([np.abs(own) for own in fitted], 0.8)
                     ).mean())
    assert np.mean(held) >= 0.8 - 5 * 0.5 / math.sqrt(2000)
    assert min(held) < 0.5, 'each room was never promised'


def test_risk_control_by_hand_and_with_losses_that_rise():
    parameters = np.array([0.0, 0.5, 1.0])
    losses = np.array([[0.5, 0.1, 0.0], [0.4, 0.2, 0.0], [0.3, 0.0, 0.0]])
    # (sum + 1) / 4: 0.55, 0.325, 0.25.
    assert controlled(losses, parameters, 0.55) == 0.0
    assert controlled(losses, parameters, 0.4) == 0.5
    assert controlled(losses, parameters, 0.25) == 1.0
    assert controlled(losses, parameters, 0.24) is None
    losses[0] = [0.0, 0.9, 0.0]
    assert controlled(losses, parameters, 0.5) == 1.0, 'a rise behind it must bind too'


def test_both_factors_of_an_interval_are_one_or_of_either_side():
    residuals = [np.array([-1.0, 0.0, 2.0]), np.array([-2.0, 0.0, 4.0])] * 10
    assert all(lower == upper for lower, upper in scaled(residuals))
    assert [lower for lower, _ in scaled(residuals)] == sorted(low for low, _ in scaled(residuals))
    assert sides(residuals)[0] == (2.0, 4.0)
    # (1 + 0.95) / 2 = 0.975 takes 39 rooms.
    assert sides(residuals)[2] == (math.inf, math.inf)


def test_sets_are_those_that_the_robot_counts():
    generator = torch.Generator().manual_seed(0)
    p = (3 * torch.randn(500, 6, generator=generator, dtype=torch.float64)).softmax(1)
    entropy = torch.special.entr(p).sum(1).numpy().astype(np.float32)
    sizes = label_set_size.made({'segmentation_entropy': entropy}, (1.7, 6.0))
    ours = (SET_SCORES[ENTROPY].scores(p) <= 1.7).sum(1).clamp(min=1)
    assert np.array_equal(ours.numpy(), sizes)
    sure = torch.tensor([[1.0, 0.0, 0.0]])
    assert SET_SCORES[ENTROPY].scores(sure)[0, 0] == 0.0
    assert torch.isfinite(SET_SCORES[ENTROPY].scores(sure)).all()


def observations(rooms_of=16, images=2, pixels=200, seed=0):
    """Return images of a network whose sigma and probabilities are right, in rooms of two."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    seen = {}
    for room in range(rooms_of):
        for image in range(images):
            logits = 2 * torch.randn(pixels, 3, generator=generator)
            label = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
            sample = DepthSample(rng.normal(size=pixels), np.full(pixels, 0.5))
            seen[f'{room}_{image}'] = Observation(logits, label, None, sample)
    return seen, [[f'{room}_{image}' for image in range(images)] for room in range(rooms_of)]


def test_a_right_network_gets_its_own_quantiles_and_says_what_they_were_worth():
    seen, runs = observations()
    of_fold = dict.fromkeys(seen, Calibration())
    promises, figures = fitted_promises(seen, runs, Calibration(), of_fold, {'images': len(seen)})
    interval, sets = promises[DEPTH_INTERVAL], promises[LABEL_SET_SIZE]
    assert interval.groups == sets.groups == 16 and interval.fitted_on == {'images': 32}
    assert [one.promised for one in interval.levels] == [True, True, False]
    # 0.8 is what held for 0.8 * 17 / 16 = 0.85 of 16 alike rooms: the normal's 1.44 sigma.
    assert interval.at(0.8).factors[0] == pytest.approx(1.44, abs=0.1)
    assert interval.at(0.95).factors[0] >= interval.at(0.9).factors[0]
    assert sets.at(0.8).factors[1] == 3.0
    of = figures[DEPTH_INTERVAL]['scaled']['0.8']
    assert of['size'] == pytest.approx(2 * 1.44 * 0.5, abs=0.1) and 0.8 < of['held'] < 0.9
    assert of['worst_run'] == min(of['of_runs']) <= of['held'] and len(of['of_runs']) == 16
    assert of['held'] + of['nearer'] + of['farther'] == pytest.approx(1.0)
    assert figures[DEPTH_INTERVAL]['sides']['0.95']['size'] is None, 'infinite is no JSON'
    assert figures[LABEL_SET_SIZE].keys() == SET_SCORES.keys()
    assert len(promise_lines(figures)) == 6


def test_sigma_that_is_scaled_changes_no_interval():
    seen, runs = observations()
    of_fold = dict.fromkeys(seen, Calibration())
    one, wide = (fitted_promises(seen, runs, Calibration(variance_scale=scale), of_fold, {})[0]
                 for scale in (1.0, 4.0))
    for plain, half in zip(one[DEPTH_INTERVAL].levels, wide[DEPTH_INTERVAL].levels):
        np.testing.assert_allclose(np.array(plain.factors) / 2, half.factors)


def test_a_network_that_is_right_gets_constants_that_a_checkpoint_takes():
    """All ranks 0: the threshold of sets is 0, and a factor of 0 would not be written."""
    seen, runs = observations()
    seen = {stem: replace(one, logits=torch.nn.functional.one_hot(one.label, 3) * 4.0)
            for stem, one in seen.items()}
    promises, _ = fitted_promises(seen, runs, Calibration(), dict.fromkeys(seen, Calibration()),
                                  {}, focal=1.5)
    factors = [one.factors for one in promises[LABEL_SET_SIZE].levels]
    assert all(0 < factor < 1e-3 for factor, _ in factors), 'one class, and above 0'
    assert all(promise.focal == 1.5 for promise in promises.values())


def test_without_truth_nothing_is_promised():
    assert fitted_promises({'a': Observation()}, [['a']], Calibration(), {}, {}) == ({}, {})
    assert controlled_rate({'a': Observation()}, [['a']], ('floor',), ('floor',), 1.0) is None


def test_false_floor_is_kept_below_the_rate_by_asking_for_confidence():
    seen, runs = observations(pixels=400)
    names = ('floor', 'wall', 'chair')
    found = controlled_rate(seen, runs, names, ('floor',), 1.0)
    assert found.before > 0.1 >= found.after and found.groups == 16
    assert 0 < found.confidence < 1 and 0 < found.kept < found.kept_before < 1
    assert f'ground_min_confidence {found.confidence:.2f}' in rate_lines(found.as_json())[0]
    assert controlled_rate(seen, runs, names, ('road',), 1.0) is None and rate_lines(None) == []
    # Eight rooms cannot promise a tenth: the ninth is one of nine.
    assert controlled_rate(seen, runs[:8], names, ('floor',), 1.0) is None


@pytest.mark.parametrize('rooms_of, level', [(4, '0.8'), (9, '0.9'), (19, '0.95')])
def test_with_just_enough_rooms_figures_of_rooms_left_out_are_not_called_the_promise_s(
        rooms_of, level):
    def lines(count):
        seen, runs = observations(count, pixels=50)
        of_fold = dict.fromkeys(seen, Calibration())
        found = fitted_promises(seen, runs, Calibration(), of_fold, {})[1]
        one = found[DEPTH_INTERVAL]['scaled'][level]
        promises_figure({'promises': found, 'runs': count})
        return one['promised'], one['others_promise'], [
            line for line in promise_lines(found) if f' {level} ' in line]
    promised, by_others, said = lines(rooms_of)
    assert promised and not by_others
    assert len(said) == 2 and all(f'what the {rooms_of - 1} others calibrate' in line
                                  for line in said)
    promised, by_others, said = lines(rooms_of + 1)
    assert promised and by_others and 'calibrate' not in ' '.join(said)


def test_a_single_room_is_not_said_to_be_left_out():
    seen, runs = observations(1)
    found = fitted_promises(seen, runs, Calibration(), dict.fromkeys(seen, Calibration()), {})[1]
    assert all('in the one room that it was fitted to' in line for line in promise_lines(found))


def test_nine_rooms_promise_a_rate_of_floor_that_eight_cannot_measure():
    seen, runs = observations(9, pixels=400)
    found = controlled_rate(seen, runs, ('floor', 'wall', 'chair'), ('floor',), 1.0)
    assert found.groups == 9 and found.after is found.worst_room is None
    line, = rate_lines(json.loads(json.dumps(found.as_json())))
    assert 'not measured in rooms left out, for the 8 others are too few' in line
