# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the training code is: beside a source tree, or installed under a name of its own.

And the two things of it that Python users ask for; it is imported when they do.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
import json
import logging
import os
from pathlib import Path
import sys
from typing import Any

from emu_perception.commands.program import logging_from
from emu_perception.errors import InputError

# `training` is a name that anybody's code may have: installed, it is this one's.
IN_THE_TREE, INSTALLED = 'training', 'emu_training'


def offline_package() -> str:
    """
    Return the name of the training package, which can be imported then, in child processes too.

    The running code's own comes first: a source tree runs the training code of that tree.

    :raises InputError: if there is none, or another package of its name is in the way.
    """
    root = Path(__file__).resolve().parents[2]
    if (root / IN_THE_TREE / 'command_line.py').is_file():
        _make_importable(str(root))
        found = find_spec(IN_THE_TREE)
        if found is None or Path(str(found.origin)).resolve().parents[1] != root:
            raise InputError(f"another package named '{IN_THE_TREE}' is loaded in this process "
                             f'already: {None if found is None else found.origin}')
        return IN_THE_TREE
    if find_spec(INSTALLED) is None:
        raise InputError(f'the training code, package {INSTALLED}, is not installed beside '
                         'emu_perception: install the package again')
    return INSTALLED


def _make_importable(root: str) -> None:
    if root not in sys.path:
        sys.path.insert(0, root)
    # Members of an ensemble, and loaders, are processes of their own.
    before = os.environ.get('PYTHONPATH', '')
    if root not in before.split(os.pathsep):
        os.environ['PYTHONPATH'] = root + (os.pathsep + before if before else '')


def train(data: str | Path, recipe: str | Path = 'robot', *, resume: bool = False,
          progress: bool = True, **fields: object) -> Path:
    """
    Train one network, as ``emu train`` does; returns the path of its best checkpoint.

    :param data: the data set folder.
    :param recipe: a YAML file, or the name of one that comes with the package.
    :param resume: go on with a run that was interrupted.
    :param fields: of the recipe: ``epochs=3``, ``**{'optimizer.learning_rate': 1e-4}``.
    :raises EmuError: if something cannot be used, or what training needs is not installed.
    """
    # JSON is YAML, which overrides are read as.
    overrides = [f'{name}={json.dumps(value)}' for name, value in fields.items()]
    load = _of_offline('recipes.recipe').load_recipe
    found = load(recipe, [f'data={json.dumps(str(data))}', *overrides])
    fit = _of_offline('fit').fit
    # Lightning's advertisements and hints; its warnings stay. As the command has it.
    with logging_from(logging.WARNING, 'lightning.pytorch'):
        best: Path = fit(found, resume=resume, progress=progress)
    return best


def ensemble_predictor() -> Any:
    """Return the class ``EnsemblePredictor``."""
    return _of_offline('methods.predictor').EnsemblePredictor


def _of_offline(module: str) -> Any:
    try:
        return import_module(f'{offline_package()}.{module}')
    except ModuleNotFoundError as error:
        raise InputError(f'training needs the Python package {error.name}, which is not '
                         "installed: pip install '.[train]' in the folder of emu_perception"
                         ) from error
