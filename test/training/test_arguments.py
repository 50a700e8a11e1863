# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What options say a second time, so that --help brings no torch, is what commands have."""

from __future__ import annotations

from emu_perception.benchmarking import arguments as benchmarking
from emu_perception.precisions import DTYPES
import pytest
from training import benchmark, compare
from training.arguments.benchmark import WHAT
from training.arguments.compare import KEYS
from training.arguments.evaluate import SAMPLED
from training.methods import ensemble
from training.prepare import __main__ as prepare
from training.recipes.recipe import Recipe


@pytest.mark.parametrize('words', [
    ['bag', 'recording', '--out', 'out'],  # Lacks the topics.
    ['bag', 'b', '--image-topic', '/i', '--depth-topic', '/d', '--out', 'o', '--every', 'two']])
def test_what_is_wrong_with_a_converters_line_is_one_line(capsys, words):
    """Of prepare bag the usage has ten lines, above what is wrong."""
    with pytest.raises(SystemExit) as end:
        prepare.main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count('\n') == 1
    assert ' bag: error: ' in said and said.endswith(' bag --help lists the options)\n')


def test_names_in_the_options_are_the_commands_own():
    assert tuple(row.key for row in compare.rows(Recipe(), 2)) == KEYS
    assert benchmark.WHAT == WHAT
    assert ensemble.SAMPLED == SAMPLED
    assert tuple(DTYPES) == benchmarking.PRECISIONS
