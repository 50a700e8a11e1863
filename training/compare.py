# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Train and measure every method of the paper with one recipe, and make the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import json
import logging
from pathlib import Path
import sys

from emu_perception.commands.output_file import make_folder

from . import evaluate
from .arguments.compare import parser
from .command_line import recipe_of, run
from .data.dataset_folder import DatasetError, DatasetFolder
from .data.digest import split_digest
from .evaluation.measuring import file_hash
from .recipes.options import RecipeError
from .recipes.recipe import check_recipe, Recipe
from .recipes.registry import METHODS, TRAINED
from .report import main as report
from .runs.building import check_tasks
from .runs.learned_images import check_images
from .runs.members import member_recipe, train_all
from .runs.peak_memory import side_by_side
from .runs.run_folder import finished
from .runs.stopping import kept, raise_if_stopped

LOGGER = logging.getLogger('training')
GOES_ON = 'what is trained and measured is kept; the same command goes on'


@dataclass(frozen=True)
class Row:
    """
    A row of the table: what is trained, and what of it is measured.

    :ivar key: of ``--only``, and the name of its JSON file.
    """

    key: str
    name: str
    recipes: list[Recipe]
    checkpoints: list[Path]
    arguments: tuple[str, ...] = ()


def rows(recipe: Recipe, members: int) -> list[Row]:
    """Return the rows in the order in which they can be trained."""
    base = replace(recipe, output=str(recipe.folder), method='baseline')

    def single(name: str, folder: str, **changes: object) -> Row:
        one = replace(base, name=folder, **changes)  # type: ignore[arg-type]
        return Row(folder, name, [one], [one.folder / 'best.safetensors'])

    labels = {'mc_dropout': 'MC dropout',
              'sub_ensemble': f'Deep sub-ensemble ({base.sub_ensemble.heads})'}
    ensemble = replace(base, name='ensemble')
    all_members = [member_recipe(ensemble, index) for index in range(members)]
    best = [member.folder / 'best.safetensors' for member in all_members]
    student = replace(
        base, name='emuformer', method='emuformer',
        emuformer=replace(base.emuformer, teacher=(str(ensemble.folder),)),
        network=replace(base.network, initial_weights='teacher'))
    return [
        Row('baseline', 'SegDepthFormer', all_members[:1], best[:1]),
        Row('ensemble', f'Deep ensemble ({members})', all_members, best),
        *(single(labels.get(name, METHODS[name].title), name, method=name)
          for name in TRAINED if METHODS[name].samples),
        Row('emuformer', 'EMUFormer', [student], [student.folder / 'best.safetensors']),
        single('SegFormer', 'segformer', network=replace(base.network, tasks=('segmentation',))),
        single('DepthFormer', 'depthformer', network=replace(base.network, tasks=('depth',))),
        single('SegDepthFormer, epochs x2', 'baseline_long', epochs=2 * base.epochs)]


def compare(recipe: Recipe, members: int, results: Path, parallel: int,
            progress: Callable[[], bool], only: list[str]) -> list[Path]:
    """
    Train and measure all rows.

    :return: the JSON files, in the table's order.
    :raises RecipeError: if a run fails, or would be measured on what it has learned from.
    """
    if not recipe.validates:
        raise RecipeError(f"field 'train_on' is {recipe.train_on}, but every row is measured on "
                          'val, which it would have learned: give train_on=train')
    folder = DatasetFolder(recipe.data)
    written = []
    table = rows(recipe, members)
    unknown = set(only) - {row.key for row in table}
    if unknown:
        raise RecipeError(f"--only names '{min(unknown)}': give some of "
                          f'{", ".join(row.key for row in table)}')
    table = [row for row in table if not only or row.key in only]
    for row in table:
        try:  # All of them now: the last row comes after hours.
            for one in row.recipes:
                check_recipe(one)
                check_tasks(one, folder)
                check_images(one, folder)
                if one.method == 'emuformer' and one.emuformer.cross_fit:
                    raise RecipeError("field 'emuformer.cross_fit' is true, but the members here "
                                      'leave no folds out, so that none could answer: leave it '
                                      'out, and train such a student by emu ensemble --folds and '
                                      'emu distill')
        except (RecipeError, DatasetError) as error:
            raise RecipeError(f"row '{row.key}': {error}; or leave the row out (--only)"
                              ) from error
    digest = split_digest(folder, folder.stems('val'))
    for row in table:
        waiting = [one for one in row.recipes if not finished(one)]
        if waiting:
            LOGGER.info('%s: training %d', row.name, len(waiting))
            failed = train_all(waiting, parallel, progress())
            if failed:
                raise RecipeError(f'{row.name} failed: see {failed[0]}/log.txt, then say the same '
                                  'command again')
        out = results / f'{row.key}.json'
        if waiting or not _measured(out, row, digest):
            code = evaluate.main([
                '--checkpoint', *map(str, row.checkpoints), '--data', str(folder.root),
                '--split', 'val', '--name', row.name, '--json', str(out), *row.arguments,
                *(['--trivial'] if row.key == 'baseline' else []),
                *([] if progress() else ['--no-progress'])])
            raise_if_stopped(code, GOES_ON)
            if code:
                raise RecipeError(f'{row.name} could not be measured')
        written.append(out)
    return written


def _measured(path: Path, row: Row, digest: str) -> bool:
    """
    Tell whether a file is a row's measurement on what is measured on now.

    :param digest: of the images and their truth.
    """
    try:
        result = json.loads(path.read_text())
        # Not by their names: they may have been trained anew since, or val.txt been edited.
        return result['data_sha256'] == digest and result['sha256'] == [
            file_hash(checkpoint) for checkpoint in row.checkpoints]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        recipe = recipe_of(options)
        if options.members < 2:
            raise RecipeError(f'--members is {options.members}: an ensemble has 2 or more')
        results = options.results or recipe.folder / 'results'
        # What cannot be written is said before.
        make_folder(results, f'{"--results" if options.results else "field output:"} {results}')
        with kept(GOES_ON):
            files = compare(recipe, options.members, results,
                            side_by_side(options.parallel, recipe),
                            lambda: not options.no_progress,
                            [part for part in options.only.split(',') if part])
        code = report([*map(str, files), '--out', str(results / 'report.html'),
                       '--markdown', str(results / 'table.md'), '--data', recipe.data])
        raise_if_stopped(code, GOES_ON)
        if code:
            raise RecipeError('the report could not be made')
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
