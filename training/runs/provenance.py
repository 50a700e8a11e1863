# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where a checkpoint comes from: what its document says of data, recipe, code and licences."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
import platform
import subprocess
from typing import Any

from emu_perception import __version__
from emu_perception.checkpoint import CheckpointMetadata, palette_or_default, read_metadata
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import SEGMENTATION
import lightning
import timm
import torch

from ..data.dataset_folder import DatasetFolder
from ..data.instances import instance_settings
from ..data.steps import steps_of
from ..data.training_stems import training_stems
from ..methods.ensemble import Ensemble
from ..recipes.recipe import Recipe
from .ancestry import ancestors_of, command_line, source_in_words
from .building import normalization, start_of

_OWN_FILE = 'training/runs/provenance.py'  # In the repository.


def metadata_of(recipe: Recipe, folder: DatasetFolder, network: Network, licence: str,
                metrics: dict[str, Any], teacher: Ensemble | None, *, epoch: int,
                epochs_run: int) -> CheckpointMetadata:
    """
    Describe the trained network.

    :param epoch: of these weights, from 1; ``epochs_run`` that the run has made; 0 = not known.
    """
    start, command = start_of(recipe), command_line()
    started = read_metadata(start) if start else None
    parents = [*(('teacher', member.metadata) for member in (teacher.members if teacher else ())),
               *([('start', started)] if started else [])]
    mean, std = normalization(recipe.network.encoder)
    depth_min, depth_max = folder.depth_range
    classes, palette = classes_of(folder, teacher)
    segments = SEGMENTATION in network.tasks
    return CheckpointMetadata(
        architecture=network.arguments, input_size=recipe.input_size, name=recipe.name,
        classes=classes if segments else (),
        palette=palette_or_default(palette, len(classes)) if segments else (),
        mean=mean, std=std,  # type: ignore[arg-type]
        depth_min=depth_min, depth_max=depth_max,
        intrinsics=folder.intrinsics, metrics=metrics,
        # Of a network of vectors alone there is no class to look for things in.
        instances=instance_settings(recipe.clustering, folder.things)
        if segments and INSTANCE in network.tasks else None,
        provenance={
            'data_set': folder.name, 'split': recipe.train_on,
            'images': len(training_stems(recipe, folder)),
            'recipe': asdict(recipe),
            'steps': [*(steps_of(started) if started else ()), recipe.method],
            **({'epoch': epoch, 'epochs_run': epochs_run} if epochs_run else {}),
            **({'command': command} if command else {}), 'git_commit': git_commit(),
            **{name: words for name, words in (
                ('data_source', source_in_words(folder.source)),
                ('data_licence', source_in_words(folder.licence))) if words},
            **({'ancestors': ancestors_of(parents)} if parents else {}),
            'versions': {'emu_perception': __version__, 'torch': torch.__version__,
                         'timm': timm.__version__, 'lightning': lightning.__version__,
                         'python': platform.python_version()},
            'initial_weights_licence': licence,
            **({} if teacher is None else {'teacher': [
                {'name': member.metadata.name, 'data_set': member.metadata.provenance.get(
                    'data_set'), 'split': member.metadata.provenance.get('split'),
                 'samples': member.sampled.count} for member in teacher.members]})})


def classes_of(folder: DatasetFolder, teacher: Ensemble | None) -> tuple[tuple[str, ...], Any]:
    """Return class names and palette: the data set's, or the teacher's where it names none."""
    if folder.classes or teacher is None:
        return folder.classes, folder.palette
    return teacher.classes, teacher.members[0].metadata.palette


def git_commit() -> str:
    """
    Return the commit of this code, '+changes' where it differs, or 'unknown'.

    Installed, it is of no repository, and the one that a command is called from is the user's:
    only one that holds this very file counts.
    """
    own = Path(__file__).read_bytes()
    for place in (Path(__file__).parent, Path('.')):
        try:
            top = Path(_git(place, 'rev-parse', '--show-toplevel'))
            if (top / _OWN_FILE).read_bytes() != own:
                continue
            commit = _git(top, 'rev-parse', '--short=12', 'HEAD')
            dirty = _git(top, 'status', '--porcelain', '--untracked-files=no')
        except (OSError, subprocess.CalledProcessError):
            continue
        return commit + ('+changes' if dirty else '')
    return 'unknown'


def _git(place: Path, *words: str) -> str:
    return subprocess.run(['git', '-C', str(place), *words], check=True, capture_output=True,
                          text=True).stdout.strip()
