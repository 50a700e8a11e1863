# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Measure the speed of training steps and of ensembles, against the published layout."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import platform
import sys
from tempfile import TemporaryDirectory
from typing import Any

from emu_perception.benchmarking.measure import interleaved, summary
from emu_perception.benchmarking.result import processor
from emu_perception.devices import in_words, resolved_device
from emu_perception.errors import InputError
import numpy as np
import torch

from .arguments.benchmark import parser
from .command_line import check_counts, check_writable, recipe_of, run, write_result
from .methods.ensemble import Ensemble
from .recipes.options import RecipeError
from .recipes.recipe import Recipe
from .speed.ensembles import DROPPING, ENSEMBLES, ensembles
from .speed.steps import steps
from .speed.synthetic_models import synthetic_members

STEPS = ('step', 'distill')
MOST_CLASSES = 255  # Of labels of one byte, one of which is none.
WHAT = (*STEPS, *ENSEMBLES)


def measured(what: str, recipe: Recipe, options: argparse.Namespace,
             device: torch.device, folder: Path) -> dict[str, Any]:
    """Return the figures of one kind."""
    more: dict[str, float]
    difference: float | None
    if what in ENSEMBLES:
        calls, forms = ensembles(what, recipe, options.classes, options.teachers, device, folder)
        count, more = 1, {'samples': forms['ours'].samples}
        first, other = calls['ours'](), calls['published']()
        # Each layout drops channels of its own: what they give is alike in distribution alone.
        difference = None if what in DROPPING else max(
            float(np.abs(a - b).max()) for a, b in zip(first, other))
    else:
        teacher = None
        if what == 'distill':
            teacher = Ensemble(synthetic_members(
                folder, recipe, options.classes, options.teachers), device=device)
        calls = steps(recipe, options.classes, teacher, device)
        count, more = recipe.batch_size, {} if teacher is None else {'teachers': teacher.samples}
        torch.manual_seed(0)
        first = calls['ours']()
        torch.manual_seed(0)
        difference = abs(first - calls['published']())
    times = interleaved(calls, options.rounds)
    rows = {name: summary(values) for name, values in times.items()}
    for row in rows.values():
        row['images_per_s'] = 1e3 * count / row['median_ms']
        row['times_ours'] = row['median_ms'] / rows['ours']['median_ms']
    if 'one' in rows:
        more['times_one_network'] = rows['ours']['median_ms'] / rows['one']['median_ms']
    return {'rows': rows, **more, 'difference_of_the_first_result': difference}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    reader = parser()
    given = sys.argv[1:] if arguments is None else arguments
    options = reader.options(given)

    def command() -> None:
        wanted = options.what.split(',')
        for name in wanted:
            if name not in WHAT:
                raise InputError(f"--what names '{name}': give some of {', '.join(WHAT)}")
        check_counts(options, 'teachers', 'rounds', 'classes', 'threads')
        if options.classes > MOST_CLASSES:
            raise InputError(f'--classes is {options.classes}: give {MOST_CLASSES} at most')
        recipe = recipe_of(options, 'data=made up', f'mc_dropout.samples={options.teachers}',
                           f'sub_ensemble.heads={max(2, options.teachers)}')
        if recipe.network.family != 'all_mlp':
            raise RecipeError(f"{options.recipe}: field 'network.family' is "
                              f"'{recipe.network.family}', of which there is no published layout "
                              'to compare with: give a recipe of all_mlp')
        check_writable(options.json)
        if options.threads:
            torch.set_num_threads(options.threads)
        device = resolved_device(options.device)
        # On a CPU mixed precision is for bf16 alone.
        if device.type == 'cpu' and recipe.precision == '16-mixed':
            recipe = replace(recipe, precision='32-true')
        result: dict[str, Any] = {
            'encoder': recipe.network.encoder, 'head_dim': recipe.network.head_dim,
            'size': list(recipe.view_size), 'batch': recipe.batch_size,
            'precision': recipe.precision, 'processor': processor(),
            'device': in_words(device),
            'versions': {'torch': torch.__version__, 'python': platform.python_version()},
            'command': reader.command(given), 'results': {}}
        for name in wanted:
            with TemporaryDirectory() as folder:
                found = measured(name, recipe, options, device, Path(folder))
            result['results'][name] = found
            print(f'{name}: ' + ', '.join(
                f"{row_name} {row['median_ms']:.1f} ms ({row['images_per_s']:.2f} images/s, "
                f"{row['times_ours']:.2f} x ours)" for row_name, row in found['rows'].items()))
        write_result(options.json, result)
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
