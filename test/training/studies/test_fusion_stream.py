# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to metres and walks with the calibration watch: by hand, as measured, and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path

from emu_perception.fusion import checked_hint
from emu_perception.fusion.joining import Compared
import numpy as np
import pytest
from synthetic_data import members
from training.data.dataset_folder import Example
from training.studies import fusion_stream
from training.studies.fusion_images import View
from training.studies.fusion_walks import alarms, delays, order, Walk, walk, WRONG_FROM

ROOT = Path(__file__).parents[3]
RESULT = json.loads((ROOT / 'results/fusion/stream.json').read_text())


def right(stems: str, noise: float = 0.1) -> list[dict[str, Compared]]:
    """Return two seeds of images whose network is right up to noise, its intervals honest."""
    rng = np.random.default_rng(0)
    return [{stem: Compared(rng.normal(0.0, noise, 2000).astype(np.float32),
                            np.full(2000, noise, np.float32)) for stem in stems}
            for _ in range(2)]


def test_a_walk_shows_each_room_as_a_whole():
    rooms = ['ab', 'c', 'def']
    stems = order(rooms, 60, np.random.default_rng(0))
    assert len(stems) == 60
    text = ''.join(stems)
    # Every six images all rooms, in some order.
    assert all(sorted(text[at:at + 6]) == list('abcdef') for at in range(0, 60, 6))
    assert text.count('def') == text.count('d') == 10


def test_a_way_that_loses_metres_is_not_the_better_for_it():
    truth = np.full((24, 32), 2.0, np.float32)
    depth = truth.copy()
    depth[:12] = np.inf
    image = np.zeros((24, 32, 3), np.uint8)
    view = View(Example('a', image, None, truth), depth, np.full_like(truth, 0.01))
    way = fusion_stream.Way(1.0, 0.0, False, 6.0)
    way.add(view, checked_hint(np.zeros_like(truth), None, (24, 32)))
    assert way.figures['all'] == {'rmse_m': pytest.approx(8.0 ** 0.5), 'abs_rel': 1.0,
                                  'held_90': 0.5}


def test_raises_and_delays_are_counted_from_the_change_on():
    raised = np.array([0, 1, 1, 0, 0, 1, 0], bool)
    one = Walk(raised, np.ones(7))
    assert one.raises == 2
    assert [one.delay(start) for start in (0, 2, 3, 6)] == [2, 1, 3, math.inf]


def test_nothing_is_raised_where_nothing_is_wrong_and_soon_where_all_is():
    views, rooms = right('abc'), ['ab', 'c']
    assert alarms(views, rooms, 1)['most'] == 0
    found = delays(views, rooms, 1.5, 10, 2)
    assert found['share_within'] == 1.0 and found['walks'] == 2
    calm = walk(views, order(rooms, 60, np.random.default_rng(0)), 1.5, np.random.default_rng(0))
    assert not calm.raised[:WRONG_FROM].any() and calm.raised[-1]
    # The adaptive factor brings the coverage back.
    assert found['widened_held'] == pytest.approx(0.9, abs=0.05)


def test_the_watch_was_measured_to_keep_its_bars():
    """Of the issue: x 1.5 within 10 images, x 1.2 within 60, one false alarm in a thousand."""
    watch = RESULT['watch']
    assert watch['alarms']['images'] == 1000 and watch['alarms']['mean'] <= 1
    for row in watch['delays']:
        assert row['p95'] is not None and row['p95'] <= row['within']
        assert row['widened_held'] == pytest.approx(0.9, abs=0.05)
    assert {round(row['factor'], 2): row['within'] for row in watch['delays']} == {
        1.5: 10, 1.2: 60, 0.67: 10, 0.83: 60}


def test_a_depth_camera_is_worth_more_than_knowing_the_camera():
    ways = RESULT['ways']
    assert len(ways) == 4
    for camera in ('unknown camera', 'its own camera'):
        fused = ways[f'{camera}, colour and depth camera']
        for part in ('all', 'unseen'):
            assert fused[part]['abs_rel'] < ways['its own camera, colour'][part]['abs_rel'] < ways[
                'unknown camera, colour'][part]['abs_rel']


@pytest.mark.slow
def test_the_command_measures_and_refuses_in_a_line(trained, tmp_path, capsys):
    out = tmp_path / 'out.json'
    command = ['--checkpoint', str(members(trained)[0]), '--data', str(trained / 'data'),
               '--device', 'cpu', '--no-progress', '--seeds', '1', '--walks', '1']
    assert fusion_stream.main([*command, '--json', str(out)]) == 0, capsys.readouterr().err
    found = json.loads(out.read_text())
    assert len(found['ways']) == 4 and found['watch']['alarms']['walks'] == 1
    assert 'calibration watch, nothing wrong' in capsys.readouterr().out
    assert fusion_stream.main([*command, '--walks', '0']) == 1
    assert '--walks is 0' in capsys.readouterr().err
