# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How far the metres are off by the ground: known answers."""

from __future__ import annotations

import json
import math

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.judgement import judge
from emu_perception.commissioning_ground import GroundCheck
from emu_perception.network_maps import NetworkMaps
from emu_perception.planning.mounting import Mounting
import numpy as np
import pytest
import torch

HEIGHT, WIDTH, HEIGHT_M, PITCH = 96, 128, 0.5, math.radians(30.0)
CAMERA = judge(pinhole_info(WIDTH, HEIGHT, 110.0), WIDTH, HEIGHT, rectified=True).needed()


def floor(ratio: float, *, ground: bool = True, confidence: float = 1.0) -> NetworkMaps:
    """Return level ground all over, at the network's half size, ``ratio`` times as far away."""
    rows, columns = HEIGHT // 2, WIDTH // 2
    down = Mounting(HEIGHT_M, PITCH).down(CAMERA.scaled(columns, rows).rays()[1])
    depth = ratio * HEIGHT_M / np.maximum(down, 0.05).repeat(columns, 1)
    return NetworkMaps(label=torch.full((rows, columns), int(ground), dtype=torch.uint8),
                       confidence=torch.full((rows, columns), confidence),
                       depth=torch.from_numpy(depth.astype(np.float32)))


def checked(*maps: NetworkMaps, height_m: float = HEIGHT_M) -> GroundCheck:
    check = GroundCheck(Mounting(height_m, PITCH), ('wall', 'floor'), ('floor',))
    for frame in maps:
        check.see(frame, CAMERA)
    return check


@pytest.mark.parametrize(('ratio', 'words'), [
    (1.4, 'by the ground depth is 40 % too far here'),
    (0.8, 'by the ground depth is 20 % too near here'),
    (1.03, 'by the ground depth is right to 3 % here')])
def test_a_factor_is_found_and_said(ratio, words):
    check = checked(*[floor(ratio)] * 5, floor(1.0, ground=False))
    assert check.ratio == pytest.approx(ratio, rel=0.02)
    assert check.sentence.startswith(f'{words} (median of 5 of 6 frames')
    assert check.sentence.endswith('set ground_scale, fine-tune, or give it a depth camera') == (
        abs(ratio - 1) > 0.1)


@pytest.mark.parametrize('height_m', [0.5 * 100, 0.5 / 100, 0.5 * 1.6])
def test_a_height_that_the_node_would_not_believe_advises_nothing(height_m):
    """Centimetres and millimetres for metres; or furniture that is labelled floor."""
    check = checked(*[floor(1.0)] * 4, height_m=height_m)
    assert len(check.problems) == 4
    assert 'the node would not believe 4 of them: the ground says' in check.sentence
    assert 'set ground_scale' not in check.sentence


@pytest.mark.parametrize('maps', [
    [floor(1.4, ground=False)] * 5, [floor(1.4, confidence=0.4)] * 5, [floor(1.4)] * 2, [],
    [NetworkMaps(depth=floor(1.4).depth)] * 5])
def test_too_little_ground_says_nothing_of_the_metres(maps):
    check = checked(*maps)
    assert check.ratio is None
    assert check.sentence.startswith('ground (floor) is seen in ')
    assert check.sentence.endswith('too little to say whether depth is right here')


@pytest.mark.parametrize(('ratio', 'differs'), [(1.4, False), (1.2, False), (1.0, True),
                                                (2.0, True)])
def test_a_depth_camera_of_other_metres_is_noticed(ratio, differs):
    assert checked(*[floor(1.4)] * 3).differs(ratio) == differs
    assert not checked().differs(ratio)  # No ground, no word.


def test_metres_that_are_no_number_are_not_read():
    spoiled = floor(1.4)
    assert spoiled.depth is not None
    spoiled.depth[:, ::2] = torch.nan
    assert checked(*[spoiled] * 3).ratio == pytest.approx(1.4, rel=0.02)
    spoiled.depth[:] = torch.nan
    assert checked(*[spoiled] * 3).ratio is None


def test_the_document_of_a_checkpoint_holds_it():
    document = checked(*[floor(1.4)] * 3).as_json()
    assert json.loads(json.dumps(document)) == document
    assert document['height_m'] == HEIGHT_M and document['pitch_deg'] == pytest.approx(30.0)
    assert (document['frames'], document['seen'], document['refused']) == (3, 3, 0)
