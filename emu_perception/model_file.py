# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where the checkpoint is: a path of the user's, or the package's default model."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution, PackageNotFoundError
import os
from pathlib import Path

from emu_perception.errors import CheckpointError, InputError

DEFAULT_MODEL = 'emu_default.safetensors'
_PACKAGE = 'emu_perception'


def resolve_model_file(model_file: str) -> Path:
    """
    Return the path of the checkpoint; '~' and $VARIABLES are expanded, empty is the default model.

    :raises InputError: if the default model is not to be found.
    """
    if model_file:
        return Path(os.path.expandvars(os.path.expanduser(model_file)))
    return default_model()


def missing(path: Path) -> CheckpointError:
    """Return the error of a checkpoint that is not there."""
    return CheckpointError(f'{" ".join(str(path).splitlines())}: no such checkpoint; give the '
                           'path of a .safetensors file')


def default_model() -> Path:
    """
    Return the path of the default model, however the package came here.

    What belongs to the running code comes first: a source tree's models/, or the share folder of
    the prefix it is installed in (colcon, a virtual environment, pip --user or --target). Then
    the prefixes of ament, then pip's record of what it installed.

    :raises InputError: if it is nowhere.
    """
    looked: list[Path] = []
    for folder in _folders():
        if (folder / DEFAULT_MODEL).is_file():
            return folder / DEFAULT_MODEL
        looked.append(folder)
    raise InputError(f'the default model {DEFAULT_MODEL} is not in '
                     f'{" nor in ".join(map(str, looked))}: name a checkpoint (node: parameter '
                     'model_file; emu_run: --model; Python: Predictor.load(FILE))')


def _folders() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package.parent / 'models'
    share = Path('share', _PACKAGE, 'models')
    # Of an installed package only these are prefixes: what lies higher is somebody else's.
    for parent in package.parents:
        if (parent / share).is_dir():
            yield parent / share
    # Where ament looks packages up, which needs no import of ROS.
    for prefix in filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)):
        if Path(prefix, 'share', _PACKAGE).is_dir():
            yield prefix / share
    try:
        for file in distribution(_PACKAGE).files or ():
            if file.name == DEFAULT_MODEL:
                yield Path(str(file.locate())).resolve().parent
    except PackageNotFoundError:
        pass  # Not of pip's.
