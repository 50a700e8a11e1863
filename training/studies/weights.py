# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Task weights, studied: Figure 2 and Table 1 of Kendall et al. with one recipe."""

from __future__ import annotations

from dataclasses import replace
import json
import math
from pathlib import Path
import sys
from typing import Any

from emu_perception.commands.output_file import make_folder
from emu_perception.whole_files import write_json, write_whole
import torch

from ..arguments.studies.weights import parser
from ..command_line import recipe_of, run
from ..data.dataset_folder import DatasetFolder
from ..data.digest import split_digest
from ..evaluation.measuring import evaluate, file_hash
from ..losses.task_weights import noise_form
from ..methods.ensemble import Ensemble
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from ..reporting.style import save
from ..reporting.weight_study import pair_figure, start_figure, table
from ..runs.building import check_tasks
from ..runs.members import train_all
from ..runs.peak_memory import side_by_side
from ..runs.stopping import kept
from .weight_trials import (
    best_weights,
    first_trials,
    GRID_PAIRS,
    TASKS,
    terms,
    Trial,
)


def study(base: Recipe, trials: list[Trial], seeds: int, results: Path, parallel: int,
          progress: bool, ap: bool) -> list[dict[str, Any]]:
    """
    Train and measure trials; of those that are the same run under two names, one is trained.

    :return: a row for each.
    :raises RecipeError: if a run fails.
    """
    recipes: dict[str, list[Recipe]] = {}
    for trial in trials:
        own = [trial.recipe(base, seed) for seed in range(seeds)]
        recipes[trial.key] = next((part for part in recipes.values() if all(
            replace(one, name=two.name) == two for one, two in zip(part, own))), own)
    runs = {recipe.name: recipe for part in recipes.values() for recipe in part}
    failed = train_all(list(runs.values()), parallel, progress)
    if failed:
        raise RecipeError(f'{len(failed)} runs failed: see {failed[0]}/log.txt, then say the same '
                          'command again')
    return [row_of(trial, recipes[trial.key], results / 'runs', ap) for trial in trials]


def row_of(trial: Trial, recipes: list[Recipe], cache: Path, ap: bool) -> dict[str, Any]:
    """Return a trial's figures, seed by seed and their mean, and its weights at the end."""
    runs = [measured(recipe, cache / f'{recipe.name.replace("/", "_")}.json', ap)
            for recipe in recipes]
    mean = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    weights = trial.weights
    if weights is None:
        ends = [final_s(recipe.folder) for recipe in recipes]
        weights = {task: noise_form(term)[0] * math.exp(-sum(s[term] for s in ends) / len(ends))
                   for task, term in terms(recipes[0].loss).items() if task in trial.tasks}
    return {'key': trial.key, 'group': trial.group, 'tasks': list(trial.tasks),
            'weights': weights,
            'initial_s': recipes[0].loss_weights.initial if trial.weights is None else None,
            'mean': mean, 'seeds': runs, 'folders': [str(recipe.folder) for recipe in recipes]}


def final_s(folder: Path) -> dict[str, float]:
    """Return s of each term at the end of a run with learned weights."""
    # Our own file: it holds more than tensors.
    state = torch.load(folder / 'state/last.ckpt', map_location='cpu', weights_only=False)
    prefix = 'task_weights.s.'
    return {name.removeprefix(prefix): float(value)
            for name, value in state['state_dict'].items() if name.startswith(prefix)}


def measured(recipe: Recipe, path: Path, ap: bool) -> dict[str, float]:
    """Return mIoU, instance error, inverse depth error and AP of a run's last epoch."""
    checkpoint = recipe.folder / 'last.safetensors'
    folder = DatasetFolder(recipe.data)
    stems = folder.stems('val')
    # Not the checkpoint alone: val.txt may have been edited since.
    asked = {'sha256': file_hash(checkpoint), 'ap': ap, 'data_sha256': split_digest(folder, stems)}
    try:
        known = json.loads(path.read_text())
        if known['of'] == asked:
            return dict(known['figures'])
    except (OSError, ValueError, KeyError):
        pass
    # The benchmark's 100 pixels are of 1024x2048; one in 20000 pixels, and 10 at least.
    height, width = folder.image(stems[0]).shape[:2]
    result = evaluate(Ensemble([checkpoint]), folder, stems, progress=False, cluster=ap,
                      min_instance_pixels=max(10, height * width // 20000))
    figures = {}
    for name, section, value in (('segmentation', 'segmentation', 'miou'),
                                 ('instance', 'instance', 'mean_error'),
                                 ('depth', 'inverse_depth', 'mean_error'),
                                 ('ap', 'instance', 'ap')):
        if result.get(section, {}).get(value) is not None:
            figures[name] = float(result[section][value])
    write_json(path, {'of': asked, 'figures': figures})
    return figures


def numbers(text: str, name: str, low: float, high: float) -> list[float]:
    """
    Read 'a,b,c'.

    :raises RecipeError: if a part is no number from low to high.
    """
    try:
        values = [float(part) for part in text.split(',') if part]
        if all(low <= value <= high for value in values):
            return sorted(set(values))
    except ValueError:
        pass
    raise RecipeError(f"--{name} is '{text}': give numbers of {low:g} to {high:g}, as a,b,c")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    reader = parser()
    options = reader.options(arguments)

    def command() -> None:
        base = recipe_of(options)
        if base.network.family != 'deeplab' or set(base.network.tasks) != set(TASKS):
            raise RecipeError(f'{options.recipe}: the study is of network.family deeplab with the '
                              f'tasks {", ".join(TASKS)}')
        if options.seeds < 1:
            raise RecipeError(f'--seeds is {options.seeds}: give 1 or more')
        grid = numbers(options.grid, 'grid', 1e-6, 1 - 1e-6)
        if not grid:
            raise RecipeError('--grid is empty: give one weight or more')
        starts = numbers(options.initial_s, 'initial-s', -20, 20)
        check_tasks(base, DatasetFolder(base.data))
        results = options.results or base.folder / 'results'
        make_folder(results, f'{"--results" if options.results else "field output:"} {results}')
        parallel, progress = side_by_side(options.parallel, base), not options.no_progress

        def done(trials: list[Trial]) -> list[dict[str, Any]]:
            return study(base, trials, options.seeds, results, parallel, progress, options.ap)

        with kept(f'what the runs in {base.folder} have done is kept; the same command goes on'):
            rows = done(first_trials(grid, starts))
            rows += done([Trial('best_of_grids', 'fixed', TASKS, best_weights(rows))])
        write(rows, base, results, options.seeds, reader.command(arguments))
    return run(command)


def write(rows: list[dict[str, Any]], base: Recipe, results: Path, seeds: int,
          command: str) -> None:
    """Write study.json, table.md and the figures."""
    folder = DatasetFolder(base.data)
    unit = 'px' if folder.depth is not None and folder.depth.quantity == 'disparity' else '1/m'
    write_json(results / 'study.json', {
        'command': command,
        'data_set': folder.name, 'unit': unit, 'seeds': seeds, 'epochs': base.epochs,
        'train_images': len(folder.stems('train')), 'val_images': len(folder.stems('val')),
        'rows': rows})
    write_whole(results / 'table.md', table(rows, unit))
    written = [results / 'study.json', results / 'table.md']
    for name, figure in (('figure.png', pair_figure(rows, GRID_PAIRS, unit)),
                         ('initial_s.png', start_figure(rows, terms(base.loss)))):
        if figure is not None:
            save(figure, results / name)
            written.append(results / name)
    print('wrote ' + ', '.join(map(str, written)))


if __name__ == '__main__':
    sys.exit(main())
