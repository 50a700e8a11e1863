# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A prior of unknown cameras: fitted, asked of cameras left out, measured on real ones."""

from __future__ import annotations

import json
from pathlib import Path

from emu_perception.fusion.constants import UNKNOWN_CAMERA_DEGREES, UNKNOWN_CAMERA_SIGMA
import numpy as np
import pytest
from scipy import stats
from synthetic_data import members
from training.studies.camera_prior import chance, DEGREES, fit, left_out, main

RESULT = json.loads((Path(__file__).parents[3] / 'results/cameras/prior.json').read_text())


def cameras(path: Path, factors: dict[str, float]) -> Path:
    """Write what the study of cameras writes, as far as it is read."""
    path.write_text(json.dumps({'cameras': [
        {'camera': name, 'factor': {'median': median}} for name, median in factors.items()]}))
    return path


def test_a_prior_is_found_again():
    values = stats.t.rvs(4.0, scale=0.4, size=5000, random_state=0)
    scale, degrees = fit(values.tolist())
    # 5000 draws tell a scale to 2 %; of the tails next to 4 no other is as likely.
    assert scale == pytest.approx(0.4, rel=0.06) and degrees == 4.0
    assert degrees in DEGREES


def test_a_camera_that_is_left_out_is_not_what_its_prior_is_of():
    medians = {**{f'{i}': 0.01 * (i - 5) for i in range(11)}, 'far': -0.35}
    rows = {row['camera']: row for row in left_out(medians)}
    assert rows['far']['scale'] < 0.05
    assert rows['far']['chance_of_farther'] < min(
        rows[f'{i}']['chance_of_farther'] for i in range(11))


def test_the_chance_is_of_both_sides():
    assert chance(0.0, 0.4, 4.0) == 1.0
    assert chance(-0.4, 0.4, 1.0) == chance(0.4, 0.4, 1.0) == pytest.approx(0.5)


def test_the_prior_in_force_is_what_was_measured_and_the_study_did_not_justify_another():
    assert RESULT['in_force'] == {'scale': UNKNOWN_CAMERA_SIGMA, 'degrees': UNKNOWN_CAMERA_DEGREES}
    assert not RESULT['enough_real_cameras']
    for real in RESULT['real']:
        # Not narrower than what a real camera asks for.
        assert real['coverage_90_total'] >= 0.9 > real['coverage_90_network']


@pytest.mark.slow
def test_the_command_measures_a_camera(trained, tmp_path, capsys):
    given = cameras(tmp_path / 'cameras.json', {'as it is': 1.0, 'a': 1.1, 'b': 0.9, 'c': 0.95})
    out = tmp_path / 'prior.json'
    assert main(['--cameras', str(given), '--checkpoint', str(members(trained)[0]), '--data',
                 str(trained / 'data'), '--json', str(out)]) == 0, capsys.readouterr().err
    result = json.loads(out.read_text())
    assert [row['camera'] for row in result['left_out']] == ['a', 'b', 'c', 'synthetic']
    real = result['real'][0]
    assert 0.0 <= real['coverage_90_network'] <= real['coverage_90_total'] <= 1.0
    assert np.isfinite(real['log_factor'])


@pytest.mark.parametrize(('text', 'words'), [
    (None, 'no such file'), ('{', 'not what emu study cameras --json writes'),
    ('{"cameras": 3}', 'not what emu study cameras --json writes'),
    ('{"cameras": [{"camera": "as it is"}, {"camera": "a", "factor": {"median": 1.1}}]}',
     'has 1 cameras with a factor'),
    ('{"cameras": [{"camera": "a", "factor": {"median": null}}]}',
     'not what emu study cameras --json writes')])
def test_cameras_that_cannot_be_read_are_one_line(tmp_path, capsys, text, words):
    path = tmp_path / 'cameras.json'
    if text is not None:
        path.write_text(text)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/dataset.yaml').write_text(
        'name: x\nclasses: [a]\nignore_index: 255\ndepth: {scale: 0.001, offset: 0.0, invalid: '
        '[0], min: 0.1, max: 10.0}\n')
    assert main(['--cameras', str(path), '--checkpoint', 'none', '--data',
                 str(tmp_path / 'data')]) == 1
    assert words in capsys.readouterr().err
