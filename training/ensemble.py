# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Train the members of a deep ensemble."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from .arguments.ensemble import parser
from .command_line import recipe_of, run
from .data.dataset_folder import DatasetFolder
from .data.training_stems import training_stems
from .recipes.options import RecipeError
from .runs.building import check_tasks, kind_of
from .runs.learned_images import check_images
from .runs.members import member_recipe, train_all
from .runs.peak_memory import side_by_side
from .runs.stopping import kept

LOGGER = logging.getLogger('training')


def chosen_members(options: argparse.Namespace) -> list[int]:
    """
    Return the members this process is to train.

    :raises RecipeError: if ``--only`` or ``--shard`` cannot be read.
    """
    if options.members < 1:
        raise RecipeError(f'--members is {options.members}: give 1 or more')
    members = list(range(options.members))
    if options.only:
        try:
            members = list(dict.fromkeys(int(part) for part in options.only.split(',')))
        except ValueError:
            raise RecipeError(f'--only is {options.only!r}: give numbers, as 0,3') from None
        if any(not 0 <= index < options.members for index in members):
            raise RecipeError(f'--only is {options.only!r}: members are 0 to '
                              f'{options.members - 1}')
    shard = options.shard
    environment = os.environ
    for rank, world in (('SLURM_ARRAY_TASK_ID', 'SLURM_ARRAY_TASK_COUNT'),
                        ('SLURM_PROCID', 'SLURM_NTASKS'), ('RANK', 'WORLD_SIZE')):
        if not shard and rank in environment and world in environment:
            place = int(environment[rank])
            if 'ARRAY' in rank:  # --array=0-8:2 are five, the last of them 8.
                place -= int(environment.get('SLURM_ARRAY_TASK_MIN', 0))
                place //= int(environment.get('SLURM_ARRAY_TASK_STEP', 1))
            shard = f'{place + 1}/{environment[world]}'
    if shard:
        try:
            part, parts = (int(value) for value in shard.split('/'))
        except ValueError:
            raise RecipeError(f'--shard is {shard!r}: give I/N, for example 1/4') from None
        if not 1 <= part <= parts:
            raise RecipeError(f'--shard is {shard!r}: I is 1 to N')
        members = members[part - 1::parts]
    return members


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)

    def command() -> None:
        recipe = recipe_of(options)
        if kind_of(recipe).needs_teacher:
            raise RecipeError(f"field 'method' is '{recipe.method}': members learn from the truth "
                              'alone; give baseline, then emu distill')
        folder = DatasetFolder(recipe.data)
        check_tasks(recipe, folder)
        if options.folds < 0 or options.folds == 1:
            raise RecipeError(f'--folds is {options.folds}: give 2 or more, or 0 for none')
        if options.folds and recipe.left_out_fold != 'none':
            raise RecipeError(f"--folds is {options.folds}, but field 'left_out_fold' is "
                              f'{recipe.left_out_fold}: give one of them')
        recipes = [member_recipe(recipe, index, options.folds)
                   for index in chosen_members(options)]
        for member in recipes:
            # Here: members would say it in logs of their own, and ended ones not at all.
            training_stems(member, folder)
            check_images(member, folder)
        with kept(f'what the members in {recipe.folder} have done is kept; the same command goes '
                  'on'):
            failed = train_all(recipes, side_by_side(options.parallel, recipe),
                               progress=not options.no_progress)
        if failed:
            raise RecipeError(f'{len(failed)} of {len(recipes)} members have not ended '
                              f'({", ".join(map(str, failed))}): see their log.txt, then say the '
                              'same command again')
        LOGGER.info('%d members in %s', len(recipes), recipe.folder)
    return run(command)


if __name__ == '__main__':
    sys.exit(main())
