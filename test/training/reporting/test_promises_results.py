# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The page of promises says what the command has written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training.reporting.promises import promises_figure

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def result():
    return json.loads((ROOT / 'results/emu_default/calibration.json').read_text())


def test_every_figure_of_the_page_is_of_the_result(result):
    page = (ROOT / 'docs/promises.md').read_text()
    for name, way, unit in (('depth_interval', 'scaled', 'm'),
                            ('label_set_size', 'entropy', 'classes')):
        for level, one in result['promises'][name][way].items():
            kind = 'promised' if one['promised'] else 'calibrated, not promised'
            row = (f'| {level} | {kind} | {100 * one["held"]:.1f} % | '
                   f'{100 * one["worst_run"]:.0f} % | {100 * one["images_short"]:.0f} % | '
                   f'{one["size"]:.2f} {unit} |')
            assert row in page
    rate = result['drivable']
    assert f'ground_min_confidence: {rate["confidence"]:.2f}' in page
    for name in ('before', 'after', 'worst_room', 'kept', 'kept_before'):
        assert f'| {100 * rate[name]:.1f} % |' in page, name


def test_what_is_promised_held_in_rooms_left_out(result):
    """Of the mean of rooms the promise is; a fact of these results, not a bound of the method."""
    for ways in result['promises'].values():
        for level, one in next(iter(ways.values())).items():
            assert one['held'] >= float(level)


def test_the_figure_has_a_panel_a_map_and_all_rooms(result):
    panels = promises_figure(result).axes
    assert [panel.get_title() for panel in panels] == ['depth intervals', 'sets of classes']
    assert all(len(panel.lines[0].get_xdata()) == result['runs'] for panel in panels)


@pytest.mark.parametrize(('runs', 'words'), [(15, 'a room left out'),
                                             (1, 'the one room, fitted to')])
def test_the_legend_says_whether_a_room_was_left_out(result, runs, words):
    panels = promises_figure({**result, 'runs': runs}).axes
    for panel in panels:
        assert panel.get_legend().get_texts()[0].get_text() == words
