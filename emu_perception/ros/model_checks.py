# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What can be known at once of a model that is asked for, before seconds of work go into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emu_perception.errors import CheckpointError, InputError
from emu_perception.promises.holding import level_problem
from emu_perception.ros.parameters import Settings

if TYPE_CHECKING:  # the checkpoint package needs torch, which may be missing until configure
    from emu_perception.checkpoint.metadata import CheckpointMetadata


def check_level(level: float, metadata: CheckpointMetadata, about: str = '') -> None:
    """
    Refuse a ``promise_level`` that a checkpoint was not fitted for.

    :param about: the parameter that names the checkpoint, for the error.
    :raises InputError: one line.
    """
    problem = level_problem(metadata, level)
    if problem:
        raise InputError(f'parameter {about}{problem}')


def checked_classes(path: Path, settings: Settings, outputs: Sequence[str], *,
                    device_changed: bool) -> Sequence[str]:
    """
    Return the classes of a checkpoint that is to take over.

    :param outputs: of the running model: with others the topics would change.
    :raises EmuError: one line, if it is plain that this model cannot take over.
    """
    from emu_perception.checkpoint import read_metadata
    from emu_perception.devices import resolved_device
    if device_changed:
        resolved_device(settings.device)
    _check_backend(settings.backend)
    _check_precision(settings.precision)
    try:
        metadata = read_metadata(path)
    except CheckpointError as error:
        raise InputError(f'parameter model_file: {error}') from error
    if set(metadata.outputs) != set(outputs):
        raise InputError(
            f'parameter model_file: {path} has the tasks {", ".join(metadata.outputs)}, the '
            f'running model {", ".join(outputs)}, and with them the topics would change: clean up '
            'and configure instead')
    settings.check_classes(metadata.classes)
    check_level(settings.promise_level, metadata, f'model_file: {path}: ')
    return metadata.classes


def _check_backend(name: str) -> None:
    from emu_perception.backends import BACKENDS, is_installed
    if name != 'auto' and (name not in BACKENDS or not is_installed(name)):
        there = (backend for backend in BACKENDS if is_installed(backend))
        raise InputError(f"parameter backend is '{name}': give auto, {', '.join(there)}, which "
                         'are what is installed here')


def _check_precision(name: str) -> None:
    from emu_perception.precisions import DTYPES
    if name not in ('auto', *DTYPES):
        raise InputError(f"parameter precision is '{name}': give auto, {', '.join(DTYPES)}")
