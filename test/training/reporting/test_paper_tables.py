# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's tables are copied whole and without typing errors."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple
import math

import pytest
from training.reporting.paper_tables import (
    BACKBONES,
    CITYSCAPES,
    comparison_rows,
    GROUPS,
    NYUV2,
    PAPER_COSTS,
    paper_data_set,
    paper_parameters_m,
    PAPER_ROWS,
    PaperRow,
    SOURCE,
    SPLITS,
)

TASKS = ('segmentation', 'depth')
# Of all figures of a table, and of Table 1.
SUMS = {2: 3766.048, 3: 4026.14, 4: 857.906, 5: 851.39, 6: 2293.189, 7: 2344.038, 9: 36.944,
        10: 15.532}
COSTS = 4220.7


def certainty(row: PaperRow, task: str) -> list[float | None]:
    """Return p(a|c), p(u|i) and PAvPU of a task."""
    return [getattr(row, f'{task}_{name}') for name in (
        'p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu')]


def four_cells(p_accurate_given_certain: float, p_uncertain_given_inaccurate: float,
               pavpu: float) -> dict[str, float]:
    """
    Return the shares of the pixels that three published figures imply.

    With x = p(accurate|certain), y = p(uncertain|inaccurate) and z = PAvPU, the certain share is
    c = z / (x + y (1 - x) / (1 - y)).

    :return: shares by ``accurate_certain``, ``inaccurate_certain``, ``inaccurate_uncertain``,
        ``accurate_uncertain``; figures that contradict one another leave 0..1 or are NaN.
    """
    x, y = p_accurate_given_certain, p_uncertain_given_inaccurate
    if y >= 1.0:
        return dict.fromkeys(('accurate_certain', 'inaccurate_certain', 'inaccurate_uncertain',
                              'accurate_uncertain'), math.nan)
    certain = pavpu / (x + y * (1.0 - x) / (1.0 - y))
    inaccurate_certain = (1.0 - x) * certain
    inaccurate_uncertain = y / (1.0 - y) * inaccurate_certain
    return {'accurate_certain': x * certain, 'inaccurate_certain': inaccurate_certain,
            'inaccurate_uncertain': inaccurate_uncertain,
            'accurate_uncertain': 1.0 - certain - inaccurate_uncertain}


def test_every_row_of_every_table_is_there():
    assert Counter(row.table for row in PAPER_ROWS) == {
        2: 15, 3: 15, 4: 3, 5: 3, 6: 8, 7: 8, 9: 3, 10: 3}
    assert len(PAPER_COSTS) == 7
    for table in (2, 3):
        groups = Counter(row.group for row in PAPER_ROWS if row.table == table)
        assert groups == dict.fromkeys(GROUPS[:5], 3)


def test_figures_are_those_that_were_checked_against_the_papers_text():
    """Each row was found in it; a figure that is changed since changes the sum of its table."""
    sums: dict[int, float] = {}
    for row in PAPER_ROWS:
        figures = [value for value in astuple(row)[5:] if value is not None]
        assert all(isinstance(value, float) for value in figures), row
        sums[row.table] = sums.get(row.table, 0.0) + sum(figures)
    assert sums == pytest.approx(SUMS, abs=5e-4)
    assert sum(cost.parameters_m + cost.flops_g + cost.fps for cost in PAPER_COSTS) \
        == pytest.approx(COSTS, abs=0.05)


def test_where_the_figures_are_from_is_said():
    assert SOURCE.arxiv == '2402.10580' and SOURCE.device == 'NVIDIA A100'
    assert SOURCE.text.startswith('S. Landgraf') and SOURCE.text.endswith('2024')
    assert {name: (split.split, split.images) for name, split in SPLITS.items()} == {
        NYUV2: ('test', 654), CITYSCAPES: ('val', 500)}


@pytest.mark.parametrize('row', PAPER_ROWS, ids=lambda row: f'{row.table} {row.group} '
                         f'{row.model} {row.backbone}')
def test_figures_of_a_row_do_not_contradict_one_another(row):
    seen = 0
    for task in TASKS:
        figures = certainty(row, task)
        if None in figures:
            assert figures == [None] * 3
            continue
        shares = four_cells(*figures)
        assert all(-0.01 <= share <= 1.01 for share in shares.values()), (task, shares)
        assert sum(shares.values()) == pytest.approx(1.0)
        seen += 1
    assert seen == (1 if row.model in ('SegFormer', 'DepthFormer') else 2)
    assert (row.miou is None) == (row.ece is None) == (row.model == 'DepthFormer')
    assert (row.rmse is None) == (row.model == 'SegFormer')
    # Metres indoors and on the street: "6588" would be a lost decimal point.
    if row.rmse is not None:
        assert row.rmse < (1.0 if row.data_set == NYUV2 else 25.0)


def test_pixel_accuracy_that_the_figures_imply_shows_void_counted_as_inaccurate():
    # Cityscapes: far below the accuracy of a SegFormer on labelled pixels (about 0.95), and
    # nearly the same for every model: the share of unlabelled pixels is in it.
    for row in PAPER_ROWS:
        if row.data_set == CITYSCAPES and row.miou is not None:
            shares = four_cells(*certainty(row, 'segmentation'))
            accuracy = shares['accurate_certain'] + shares['accurate_uncertain']
            assert 0.80 < accuracy < 0.86


def test_four_cells_give_back_the_figures_they_come_from():
    ac, au, ic, iu = 0.5, 0.2, 0.1, 0.2
    shares = four_cells(ac / (ac + ic), iu / (ic + iu), ac + iu)
    assert shares == pytest.approx({'accurate_certain': ac, 'inaccurate_certain': ic,
                                    'inaccurate_uncertain': iu, 'accurate_uncertain': au})


def test_tables_that_repeat_a_row_repeat_its_figures():
    rows = {(row.table, row.group, row.model): astuple(row)[5:] for row in PAPER_ROWS}
    for short, full, ablation in ((4, 2, 9), (5, 3, 10)):
        for group in ('Baseline', 'DE'):
            assert rows[short, group, 'SegDepthFormer'] == rows[full, group, 'SegDepthFormer']
        # Tables 9 and 10 have no inference times.
        assert (rows[ablation, 'GNLL', 'EMUFormer'][:9]
                == rows[short, 'EMUFormer', 'EMUFormer'][:9])


def test_figures_that_the_text_prints_beside_the_tables():
    rows = {(row.table, row.group, row.model, row.backbone): row for row in PAPER_ROWS}
    student = rows[5, 'EMUFormer', 'EMUFormer', 'B2']
    assert (student.miou, student.rmse, student.time_mean_ms) == (0.475, 0.514, 22.31)
    assert rows[7, 'EMUFormer', 'EMUFormer', 'B5'].miou == 0.520
    assert rows[6, 'DE', 'DepthFormer', 'B5'].rmse == 6.588
    assert rows[10, 'MSE', 'EMUFormer', 'B2'].rmse == 0.527
    assert rows[9, 'Huber', 'EMUFormer', 'B2'].rmse == 7.340


def test_frames_a_second_fit_the_inference_times():
    # Table 1 is of NYUv2. Single passes only: the ensembles' own figures differ by a quarter.
    times = {(row.group, row.model): row.time_mean_ms for row in PAPER_ROWS
             if row.data_set == NYUV2 and row.table in (3, 5)}
    for cost in PAPER_COSTS:
        if cost.group != 'DE':
            assert 1000.0 / cost.fps == pytest.approx(times[cost.group, cost.model], rel=0.01)


def test_comparison_has_each_method_once_in_the_papers_order():
    for data_set in (NYUV2, CITYSCAPES):
        rows = comparison_rows(data_set, 'B2')
        assert len(rows) == 16 and rows[-1].group == 'EMUFormer'
        assert [row.group for row in rows[::3]] == list(GROUPS)
        for backbone in BACKBONES[1:]:
            assert [row.group for row in comparison_rows(data_set, backbone)] == [
                'DE', 'DE', 'DE', 'EMUFormer']


def test_parameters_are_known_for_b2_alone():
    rows = {(row.group, row.model): row for row in comparison_rows(NYUV2, 'B2')}
    assert paper_parameters_m(rows['DE', 'SegDepthFormer']) == 305.1
    assert paper_parameters_m(rows['DSE', 'SegFormer']) is None
    assert paper_parameters_m(comparison_rows(NYUV2, 'B0')[-1]) is None


@pytest.mark.parametrize('name, found', [
    ('nyuv2', NYUV2), ('NYU Depth V2', NYUV2), ('cityscapes', CITYSCAPES), ('synthetic', None)])
def test_data_sets_are_known_by_the_names_in_use(name, found):
    assert paper_data_set(name) == found
