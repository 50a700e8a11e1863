# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The study of fusion: holes, fills and fits by hand, and the command end to end."""

from __future__ import annotations

import json
from pathlib import Path

from emu_perception.normal_distribution import Z90
import numpy as np
import pytest
from synthetic_data import members
from training.data.dataset_folder import Example
from training.studies import fusion, fusion_time
from training.studies.fusion_fills import FILLS
from training.studies.fusion_fit import DISTANCES, fit_pixels, fit_spread, Samples
from training.studies.fusion_holes import as_sensed, HOLES, NOISE_PER_M, OUTLIERS

SIZE = (120, 160)


def example(depth: np.ndarray) -> Example:
    """Return a grey picture of a depth."""
    return Example('one', np.full((*depth.shape, 3), 128, np.uint8),
                   np.zeros(depth.shape, np.uint8), depth.astype(np.float32))


def ramp() -> np.ndarray:
    """Return a depth of 1 to 6 m, farther above."""
    return np.repeat(np.linspace(6.0, 1.0, SIZE[0])[:, None], SIZE[1], 1).astype(np.float32)


# -- by hand ------------------------------------------------------------------------------------
@pytest.mark.parametrize(('kind', 'share'), [('blobs_30', 0.3), ('blobs_78', 0.78),
                                             ('blobs_95', 0.95), ('half', 0.5)])
def test_so_much_is_hidden(kind, share):
    hidden = HOLES[kind](example(ramp()), ('wall',), np.random.default_rng(0))
    # A quantile of so many pixels is off by less than one in a hundred.
    assert hidden.mean() == pytest.approx(share, abs=0.01)


def test_holes_are_where_a_sensor_sees_nothing():
    rng = np.random.default_rng(0)
    assert np.array_equal(HOLES['beyond_4m'](example(ramp()), (), rng), ramp() > 4.0)
    one = example(np.full(SIZE, 2.0))
    assert not HOLES['sensor'](one, ('wall', 'window'), rng).any()
    one.label[:, 80:] = 1
    assert np.array_equal(HOLES['sensor'](one, ('wall', 'window'), rng), one.label == 1)
    one.image[:60] = 0
    assert HOLES['sensor'](one, ('wall', 'window'), rng)[:50].all()
    step = np.where(np.arange(SIZE[1]) < 80, 1.0, 3.0)[None].repeat(SIZE[0], 0)
    beside = HOLES['sensor'](example(step), (), rng)
    assert beside[60, 79] and not beside[60, 10] and not beside[60, 150]


def test_a_sensor_is_noisy_far_away_and_wrong_now_and_then():
    depth = np.full((400, 500), 4.0, np.float32)
    depth[:100] = 0.0
    sensed = as_sensed(depth, np.random.default_rng(0))
    assert not sensed[:100].any()
    off = np.abs(sensed[100:] - 4.0)
    sigma = NOISE_PER_M * 16.0
    wrong = off > 5 * sigma
    # Outliers are drawn from 0.3 to 8 m: a few lie near the truth by chance.
    near = 10 * sigma / 7.7
    expected = OUTLIERS * (1 - near)
    slack = 5 * np.sqrt(OUTLIERS / wrong.size)
    assert wrong.mean() == pytest.approx(expected, abs=slack)
    assert np.std(sensed[100:][~wrong]) == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize('name', FILLS)
def test_a_fill_keeps_a_plane_and_stays_within_what_it_knows(name):
    known = np.full(SIZE, 2.0, np.float32)
    known[20:60, 30:90] = 0.0
    filled = FILLS[name](known, np.full((*SIZE, 3), 128, np.uint8))
    # Inpainting is of 16 bits, and all of them go through logarithms in float32.
    assert filled == pytest.approx(np.full(SIZE, 2.0), rel=1e-3)


def drawn(count: int, growth: tuple[float, ...], seed: int = 0, beyond: float = 0.0,
          dissent: float = 0.0) -> Samples:
    """Return pixels whose errors have the standard deviation that is said of them."""
    rng = np.random.default_rng(seed)
    distance = np.exp(rng.uniform(0.0, np.log(64.0), count))
    relative, shared = rng.uniform(0.1, 0.3, count), rng.uniform(0.01, 0.05, count)
    chance = (rng.random(count) < 0.3) * float(beyond > 0)
    differing = rng.exponential(0.1, count) * float(dissent > 0)
    sigma = np.sqrt(relative ** 2 * (np.interp(distance, DISTANCES, growth) ** 2
                                     + (beyond * chance) ** 2)
                    + (dissent * differing) ** 2 + shared ** 2)
    return Samples(np.zeros(count, int), np.full(count, 'half'),
                   np.abs(rng.standard_normal(count)) * sigma, relative, distance, chance,
                   differing, shared)


def test_growth_is_found_again_and_covers():
    growth = (0.2, 0.25, 0.3, 0.4, 0.6, 0.8, 0.9)
    samples = drawn(200_000, growth)
    found = fit_pixels(samples)
    assert found.growth == pytest.approx(growth, rel=0.1)
    # 200 000 draws: five standard deviations of a share.
    held = (samples.z(found) <= Z90).mean()
    assert held == pytest.approx(0.9, abs=5 * np.sqrt(0.09 / 200_000) + 0.005)


def test_growth_never_falls():
    found = fit_pixels(drawn(20_000, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3))).growth
    assert list(found) == sorted(found)


def test_what_widens_beside_growth_is_found_again():
    found = fit_pixels(drawn(200_000, (0.1, 0.1, 0.2, 0.3, 0.4, 0.6, 0.9), beyond=1.5,
                             dissent=0.8))
    assert (found.beyond, found.dissent) == pytest.approx((1.5, 0.8), rel=0.1)


def test_the_same_pixels_give_the_same_constants():
    samples = drawn(5_000, (0.5,) * 7)
    assert fit_pixels(samples) == fit_pixels(samples)


def test_the_factors_spread_is_what_makes_its_intervals_hold():
    error = np.abs(np.random.default_rng(0).standard_normal(100_000)) * 0.06
    assert fit_spread(error, np.full(100_000, 0.02), 1.5) == pytest.approx(4.5, rel=0.02)


def test_nothing_beyond_a_limit_asks_for_no_doubt():
    found = fit_pixels(drawn(100, (0.5,) * 7))
    assert found.beyond == 0.0 and found.dissent == 0.0


# -- the command --------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_command_writes_figures_and_pictures(trained, tmp_path, capsys):
    out = tmp_path / 'fusion.json'
    arguments = ['--checkpoint', str(members(trained)[0]), '--data', str(trained / 'data'),
                 '--other', str(trained / 'data'), '--seeds', '2', '--device', 'cpu', '--json',
                 str(out), '--figure', str(tmp_path / 'fusion.png'), '--pictures',
                 str(tmp_path / 'pictures.png'), '--no-progress']
    assert fusion.main(arguments) == 0, capsys.readouterr().err
    result = json.loads(out.read_text())
    assert result['command'].endswith('--no-progress') and result['images'] == 2
    kinds = {found['kind']: found for found in result['kinds']}
    assert {'blobs_30', 'blobs_78', 'blobs_95', 'half', 'box'} <= set(kinds) <= set(HOLES)
    half = kinds['half']
    assert half['trials'] == 4 and half['best_fill'] in FILLS
    assert half['gain'] == pytest.approx(1 - half['rmse']['fused'] / half['rmse'][
        half['best_fill']])
    assert list(result['constants']['growth']) == sorted(result['constants']['growth'])
    assert [other['data_set'] for other in result['others']] == ['synthetic']
    assert 'below the fill' in capsys.readouterr().out
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ('fusion.png',
                                                                      'pictures.png'))


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--seeds', '0'], '--seeds is 0'), (['--limit', '-1'], '--limit is -1'),
    (['--figure', 'out.txt'], 'give a name that ends in')])
def test_arguments_that_cannot_be_are_refused(arguments, words, capsys):
    assert fusion.main(['--checkpoint', 'none', '--data', 'none', *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not Path('out.txt').exists()


def test_what_it_costs_is_said(capsys):
    assert fusion_time.main(['--images', '3']) == 0
    assert '640x480: median' in capsys.readouterr().out
    assert fusion_time.main(['--images', '0']) == 1
