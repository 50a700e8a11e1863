# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Results are read as a table, the trivial baseline beside them."""

from __future__ import annotations

from training.evaluation.printing import figure_table

RESULT = {'segmentation': {'miou': 0.25, 'classes_counted': 3, 'curve': [1, 2]},
          'depth': {'rmse': 0.5, 'nll': None}, 'images': 4}


def test_each_figure_has_a_line_under_its_section():
    assert figure_table(RESULT).splitlines() == [
        '              figure              measured',
        'segmentation  miou                    0.25',
        '              classes_counted            3',
        'depth         rmse                     0.5',
        '              nll              not defined']


def test_the_trivial_baseline_stands_beside_what_it_has():
    lines = figure_table({**RESULT, 'trivial': {
        'segmentation': {'miou': 0.01}, 'majority_class': 'wall'}}).splitlines()
    assert lines[0].split() == ['figure', 'measured', 'trivial']
    assert lines[1].split() == ['segmentation', 'miou', '0.25', '0.01']
    assert lines[3].split() == ['depth', 'rmse', '0.5']
