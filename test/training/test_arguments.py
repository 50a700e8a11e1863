# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What options say a second time, so that --help brings no torch, is what commands have."""

from __future__ import annotations

from emu_perception.benchmarking import arguments as benchmarking
from emu_perception.precisions import DTYPES
from training import benchmark, compare
from training.arguments.benchmark import WHAT
from training.arguments.compare import KEYS
from training.arguments.evaluate import SAMPLED
from training.methods import ensemble
from training.recipes.recipe import Recipe


def test_names_in_the_options_are_the_commands_own():
    assert tuple(row.key for row in compare.rows(Recipe(), 2)) == KEYS
    assert benchmark.WHAT == WHAT
    assert ensemble.SAMPLED == SAMPLED
    assert tuple(DTYPES) == benchmarking.PRECISIONS
