# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Trainings that differ in their seeds alone are one row, mean and spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training.reporting.comparison import main_table
from training.reporting.results import Result
from training.reporting.seeds import seed_table


def result(name: str, miou: float | None, *seeds: int | None, trained_as: str | None = 'abc',
           method: str = 'baseline') -> Result:
    document: dict[str, Any] = {
        'name': name, 'method': method, 'tasks': ['segmentation'], 'void': 'exclude',
        'threshold': 'mean', 'segmentation': {'miou': miou}, 'seeds': list(seeds),
        'trained_as': trained_as}
    return Result(Path(f'{name}.json'), name, document)


def rows(*results: Result) -> list[tuple[str, str, str]] | None:
    table = seed_table(results, main_table(results))
    return None if table is None else [
        (row.name, row.detail, row.cells[0].text) for row in table.blocks[0].rows]


def test_mean_and_deviation_by_hand():
    assert rows(result('a', .30, 1), result('b', .34, 2), result('c', .50, 1, trained_as='x')) == [
        ('SegFormer, baseline', '2 trainings: a, b', '0.320 ± 0.028')]


@pytest.mark.parametrize('other', [
    result('b', .34, 1), result('b', .34, 2, trained_as=None), result('b', .34, None),
    result('b', .34, 2, method='mc_dropout')])
def test_the_same_seed_an_unknown_one_or_another_method_is_no_second_training(other):
    assert rows(result('a', .30, 1), other) is None


def test_what_one_training_lacks_has_no_mean():
    assert rows(result('a', .30, 1), result('b', None, 2))[0][2] == '–'
