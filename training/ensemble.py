# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the members of a deep ensemble.

python -m training.ensemble --recipe FILE --members 10 data=DIR

Member i is ``training.fit`` with seed + i in OUTPUT/NAME/member_0i: the same encoder weights,
heads drawn anew, another order and other views. Each is a process of its own, so one that fails
does not take the others along. Finished members are skipped, interrupted ones resumed: say the
same command again. --parallel runs several side by side (on one GPU as many as fit); --shard 1/4,
or a job array under SLURM or torchrun, spreads them over machines.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
import logging
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import IO

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
import torch
from training.building import check_tasks
from training.command_line import recipe_of, recipe_parser, run
from training.data.dataset_folder import DatasetFolder
from training.options import plain, RecipeError
from training.peak_memory import side_by_side
from training.recipe import Recipe
from training.run_folder import epochs_done, finished
import yaml

LOGGER = logging.getLogger('training')
# Each member is one process: it must not take itself for a part of the job that starts it.
_DISTRIBUTED = ('SLURM_', 'RANK', 'WORLD_SIZE', 'LOCAL_', 'GROUP_', 'ROLE_', 'MASTER_',
                'TORCHELASTIC_', 'NODE_RANK')


@dataclass
class Job:
    """A member in training."""

    index: int
    recipe: Recipe
    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def epoch(self) -> int:
        """Return the epochs done."""
        return epochs_done(self.recipe.folder)


def member_recipe(recipe: Recipe, index: int) -> Recipe:
    """Return the recipe of member ``index``."""
    return replace(recipe, name=f'{recipe.name}/member_{index:02d}', seed=recipe.seed + index)


def train_all(recipes: list[Recipe], parallel: int, progress: bool = True) -> list[Path]:
    """
    Run ``training.fit`` for each recipe, ``parallel`` at a time; finished ones are skipped.

    :return: the folders of the runs that failed; each has its output in log.txt.
    """
    waiting = [recipe for recipe in recipes if not finished(recipe)]
    failed: list[Path] = []
    running: list[Job] = []
    columns = (TextColumn('{task.description}'), BarColumn(),
               TextColumn('{task.completed}/{task.total} epochs'), TimeElapsedColumn())
    with Progress(*columns, disable=not progress) as bars:
        tasks = {recipe.name: bars.add_task(
            recipe.name, total=recipe.epochs, start=False,
            completed=0 if recipe in waiting else recipe.epochs) for recipe in recipes}
        try:
            while waiting or running:
                while waiting and len(running) < parallel:
                    slot = min(set(range(parallel)) - {job.index for job in running})
                    recipe = waiting.pop(0)
                    bars.start_task(tasks[recipe.name])
                    running.append(_start(recipe, slot))
                time.sleep(0.2)
                for job in list(running):
                    bars.update(tasks[job.recipe.name], completed=job.epoch)
                    code = job.process.poll()
                    if code is not None:
                        running.remove(job)
                        job.log.close()
                        if code:
                            failed.append(job.recipe.folder)
                            LOGGER.error('%s', _reason(job.recipe.folder, code))
                        elif not finished(job.recipe):
                            failed.append(job.recipe.folder)
                            LOGGER.warning('%s: stopped after %d of %d epochs', job.recipe.folder,
                                           job.epoch, job.recipe.epochs)
        finally:
            for job in running:  # Ctrl-C reaches them too; this is for all other endings.
                job.process.terminate()
                job.process.wait()
                job.log.close()
    return failed


def stop_children_when_stopped() -> None:
    """Make SIGTERM (a scheduler's, or kill) an ordinary end, which takes the members along."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _start(recipe: Recipe, slot: int) -> Job:
    folder = recipe.folder
    folder.mkdir(parents=True, exist_ok=True)
    # Read back by fit: what is trained is this file and nothing else.
    written = folder / 'recipe.yaml'
    written.write_text(yaml.safe_dump(plain(recipe), sort_keys=False))
    command = [sys.executable, '-m', 'training.fit', '--recipe', str(written), '--no-progress']
    if (folder / 'state/last.ckpt').exists():
        command.append('--resume')
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(_DISTRIBUTED)}
    gpus = torch.cuda.device_count()
    if gpus == 0:
        # Every step's large tensors would be mapped, zeroed by the kernel and unmapped: keeping
        # them takes a step of nyuv2_small from 0.39 s to 0.29 s on two cores.
        for name, value in (('MALLOC_MMAP_MAX_', '0'), ('MALLOC_TOP_PAD_', str(2**28)),
                            ('MALLOC_TRIM_THRESHOLD_', str(2**36))):
            environment.setdefault(name, value)
    if gpus > 1 and recipe.devices == 1:
        visible = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
        names = visible if len(visible) == gpus else [str(i) for i in range(gpus)]
        environment['CUDA_VISIBLE_DEVICES'] = names[slot % gpus]
    log = (folder / 'log.txt').open('ab')
    return Job(slot, recipe, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                              env=environment), log)


def _reason(folder: Path, code: int) -> str:
    lines = (folder / 'log.txt').read_text(errors='replace').splitlines()
    errors = [line for line in lines if line.startswith('error: ')] or lines or ['no output']
    return f'{folder} ended with code {code}: {errors[-1]} (all of it: {folder}/log.txt)'


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
            members = [int(part) for part in options.only.split(',')]
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
            first = int(environment.get('SLURM_ARRAY_TASK_MIN', 0)) if 'ARRAY' in rank else 0
            shard = f'{int(environment[rank]) - first + 1}/{environment[world]}'
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
    parser = recipe_parser('ensemble', __doc__)
    parser.add_argument('--members', type=int, default=10, help='default 10, as in the paper')
    parser.add_argument('--only', metavar='I,J', help='train these members only, from 0')
    parser.add_argument('--shard', metavar='I/N', help='train the I-th of N parts of the members')
    parser.add_argument('--parallel', default='1', metavar='N|auto',
                        help='members side by side; auto: as many as fit on the GPUs, 1 without')
    options = parser.parse_intermixed_args(arguments)

    def command() -> None:
        stop_children_when_stopped()
        recipe = recipe_of(options)
        if recipe.method == 'emuformer':
            raise RecipeError("field 'method' is 'emuformer': members learn from the truth alone; "
                              'give baseline, then training.distill')
        check_tasks(recipe, DatasetFolder(recipe.data))
        recipes = [member_recipe(recipe, index) for index in chosen_members(options)]
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
