# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a lens costs once it is taken out: by hand, as it was measured, and on real images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from emu_perception.cameras.judgement import judge
import numpy as np
import pytest
from synthetic_data import members
from training.data.dataset_folder import DatasetFolder
from training.studies import rectification
from training.studies.rectification_lenses import as_taken, ideal_of, lens_info, LENSES

ROOT = Path(__file__).parents[3]
RESULT = json.loads((ROOT / 'results/rectification/rectification.json').read_text())
SIZE = (160, 120)


@pytest.mark.parametrize('name', LENSES)
def test_what_a_lens_has_taken_is_rectified_to_what_was_there(name):
    info = lens_info(name, *SIZE, 130.0)
    camera = judge(info, *SIZE, rectified=False, rectify=True).needed()
    assert camera.fx == 130.0 and camera.rectification.zoom == 1.0
    ideal = ideal_of(info)
    there = cv2.remap(ideal, camera.rectification.source, None, cv2.INTER_LINEAR)
    pixels = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), -1)
    # OpenCV's linear weights are of 1/32 pixel.
    assert np.abs(there - pixels).max() < 1.5 / 32
    x = np.linspace(0, 6 * np.pi, SIZE[0])
    waves = np.repeat((127 + 100 * np.sin(x))[None].repeat(SIZE[1], 0)[..., None], 3, 2)
    picture = waves.astype(np.uint8)
    back = camera.rectified(as_taken(picture, ideal)).astype(int)[4:-4, 4:-4]
    assert np.abs(back - picture[4:-4, 4:-4]).max() <= 4  # Rounded twice, mixed twice.


@pytest.mark.parametrize('row', RESULT['lenses'], ids=lambda row: row['lens'])
def test_labels_and_metres_are_those_of_the_undistorted_picture_within_a_hundredth(row):
    assert RESULT['images'] == 86
    assert abs(row['miou_change']) < 0.01 and abs(row['rmse_change']) < 0.01
    assert row['unrectified_misplaced_m']['largest'] > 0.5


@pytest.mark.slow
def test_so_it_is_on_a_few_real_pictures(nyuv2):
    model = ROOT / 'models/emu_default.safetensors'
    if not model.is_file():
        pytest.skip(f'{model} is not there')
    found = rectification.study(model, DatasetFolder(nyuv2), 'val', limit=4,
                                lenses=['equidistant'], device='cpu', progress=False)
    for row in found['lenses']:
        # Of so few, classes of a few hundred pixels count as much as walls.
        assert abs(row['miou_change']) < 0.05, row
        assert abs(row['rmse_change']) < 0.01, row


@pytest.mark.slow
def test_the_command_measures_and_refuses_in_a_line(trained, tmp_path, capsys):
    out = tmp_path / 'out.json'
    command = ['--checkpoint', str(members(trained)[0]), '--data', str(trained / 'data'),
               '--device', 'cpu', '--no-progress']
    code = rectification.main([*command, '--json', str(out)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert [row['lens'] for row in json.loads(out.read_text())['lenses']] == list(LENSES)
    assert rectification.main([*command, '--limit', '0']) == 1
    assert '--limit is 0' in capsys.readouterr().err
