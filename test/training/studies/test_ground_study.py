# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The true plane of the ground is found, and the figures that the docs show are what was found."""

from __future__ import annotations

import json
import math
from pathlib import Path

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.planning.mounting import Mounting
import numpy as np
import pytest
from synthetic_data import members
from training.studies.ground import main, mounting_in, plane

RESULT = json.loads((Path(__file__).parents[3] / 'results/ground/ground.json').read_text())
CAMERA = judge(pinhole_info(320, 240, 250.0), 320, 240, rectified=True).needed()


def floor(mounting: Mounting) -> np.ndarray:
    """Return the true depth of a level floor, metres, 0 where there is none."""
    down = mounting.down(CAMERA.rays()[1]).repeat(320, 1)
    return np.where(down > 0.1, mounting.height_m / np.maximum(down, 0.1), 0.0).astype(np.float32)


@pytest.mark.parametrize('pitch_deg', [0.0, 19.0, 60.0])
def test_height_and_pitch_are_found_beside_furniture(pitch_deg):
    true = Mounting(0.62, math.radians(pitch_deg))
    depth = floor(true)
    depth[depth > 0] += np.random.default_rng(0).normal(0.0, 0.002, (depth > 0).sum())
    table = floor(Mounting(0.2, true.pitch_rad))
    depth[:, :100] = table[:, :100]
    found = mounting_in(np.ones(depth.shape, bool), depth, CAMERA)
    assert found is not None and found.height_m == pytest.approx(0.62, abs=0.01)
    assert math.degrees(found.pitch_rad) == pytest.approx(pitch_deg, abs=0.5)


def test_what_is_no_plane_is_no_ground():
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (5000, 3))
    assert plane(points) is None
    assert mounting_in(np.zeros((240, 320), bool), floor(Mounting(0.6, 0.3)), CAMERA) is None


def test_the_ground_helps_on_both_cameras_however_wrong_it_is_known():
    rows = {(camera['camera'], row['with']): row for camera in RESULT['cameras']
            for row in camera['rows']}
    for camera in ('nyuv2', 'd435'):
        as_it_is = rows[camera, 'as it is']
        for name in ('abs_rel', 'log_factor_rms'):
            assert as_it_is[name]['ground'] < as_it_is[name]['network']
        assert as_it_is['delta1']['ground'] > as_it_is['delta1']['network']
        # Two degrees and a twentieth of the height are what a user measures wrong.
        for words in ('pitch +2 degrees', 'pitch -2 degrees', 'height x 1.05', 'height x 0.95'):
            row = rows[camera, words]
            assert row['delta1']['ground'] > row['delta1']['network']
            assert row['factor_in_90'] >= 0.9 and row['coverage_90']['ground'] >= 0.88
        assert not rows[camera, 'furniture alone taken for ground']['images']


@pytest.mark.slow
def test_the_command_measures_a_camera(trained, tmp_path, capsys):
    out = tmp_path / 'ground.json'
    arguments = ['--checkpoint', str(members(trained)[0]), '--json', str(out), '--ground',
                 'floor', '--furniture', 'wall', '--limit', '2', '--figure',
                 str(tmp_path / 'a.png')]
    assert main([*arguments, '--data', str(trained / 'data'), '--robot', str(trained / 'data')
                 ]) == 0, capsys.readouterr().err
    moved, robot = json.loads(out.read_text())['cameras']
    assert (tmp_path / 'a.png').stat().st_size and moved['images'] == 2 and len(moved['rows']) == 7
    assert 'height_m' not in moved and moved['show_ground'] == robot['show_ground']
    assert main(arguments) == 1
    assert 'neither --data nor --robot is given' in capsys.readouterr().err
