# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Many runs of one recipe, each a process of its own: the members of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass, replace
import logging
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import IO

from emu_perception.whole_files import write_whole
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
import torch
import yaml

from ..recipes.options import plain
from ..recipes.recipe import Recipe
from .run_folder import epochs_done, finished

LOGGER = logging.getLogger('training')
_FIT = f'{__name__.partition(".")[0]}.fit'  # Of the package as it is called here.
# Each member is one process: it must not take itself for a part of the job that starts it.
_DISTRIBUTED = ('SLURM_', 'RANK', 'WORLD_SIZE', 'LOCAL_', 'GROUP_', 'ROLE_', 'MASTER_',
                'TORCHELASTIC_', 'NODE_RANK')


@dataclass
class MemberRun:
    """
    A member in training.

    :ivar log_start: where its part of the log begins, bytes: earlier starts have written there.
    """

    index: int
    recipe: Recipe
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    log_start: int = 0

    @property
    def epoch(self) -> int:
        """Return the epochs done."""
        return epochs_done(self.recipe.folder)


def member_recipe(recipe: Recipe, index: int, folds: int = 0) -> Recipe:
    """Return the recipe of member ``index``, without its fold of the training images if any."""
    fold = f'{index % folds + 1}/{folds}' if folds else recipe.left_out_fold
    return replace(recipe, name=f'{recipe.name}/member_{index:02d}', seed=recipe.seed + index,
                   left_out_fold=fold)


def train_all(recipes: list[Recipe], parallel: int, progress: bool = True) -> list[Path]:
    """
    Run ``training.fit`` for each recipe, ``parallel`` at a time; finished ones are skipped.

    :return: the folders of the runs that failed; each has its output in log.txt.
    """
    waiting = [recipe for recipe in recipes if not finished(recipe)]
    failed: list[Path] = []
    running: list[MemberRun] = []
    columns = (TextColumn('{task.description}'), BarColumn(),
               TextColumn('{task.completed}/{task.total} epochs'), TimeElapsedColumn())
    with Progress(*columns, disable=not progress) as bars:
        tasks = {recipe.name: bars.add_task(
            recipe.name, total=recipe.epochs, start=False,
            completed=0 if recipe in waiting else recipe.epochs) for recipe in recipes}
        try:
            while waiting or running:
                while waiting and len(running) < parallel:
                    slot = min(set(range(parallel)) - {run.index for run in running})
                    recipe = waiting.pop(0)
                    bars.start_task(tasks[recipe.name])
                    running.append(_start(recipe, slot))
                time.sleep(0.2)
                for run in list(running):
                    bars.update(tasks[run.recipe.name], completed=run.epoch)
                    code = run.process.poll()
                    if code is not None:
                        running.remove(run)
                        run.log.close()
                        if code:
                            failed.append(run.recipe.folder)
                            LOGGER.error('%s', _reason(run, code))
                        elif not finished(run.recipe):
                            failed.append(run.recipe.folder)
                            LOGGER.warning('%s: stopped after %d of %d epochs', run.recipe.folder,
                                           run.epoch, run.recipe.epochs)
        finally:
            # Ctrl-C reaches them too; this is for all other endings. All before any is waited for.
            for run in running:
                run.process.terminate()
            for run in running:
                run.process.wait()
                run.log.close()
    return failed


def _start(recipe: Recipe, slot: int) -> MemberRun:
    folder = recipe.folder
    folder.mkdir(parents=True, exist_ok=True)
    # Read back by fit: what is trained is this file and nothing else.
    written = folder / 'recipe.yaml'
    write_whole(written, yaml.safe_dump(plain(recipe), sort_keys=False))
    command = [sys.executable, '-m', _FIT, '--recipe', str(written), '--no-progress']
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
    start = log.seek(0, os.SEEK_END)
    return MemberRun(slot, recipe, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                                    env=environment), log, start)


def _reason(run: MemberRun, code: int) -> str:
    folder = run.recipe.folder
    own = (folder / 'log.txt').read_bytes()[run.log_start:]
    lines = own.decode(errors='replace').splitlines()
    errors = [line for line in lines if line.startswith('error: ')] or lines or ['no output']
    return f'{folder} ended with code {code}: {errors[-1]} (all of it: {folder}/log.txt)'
