# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A command's line, read before the command is imported: ``--help`` does not wait for torch.

``emu`` reads it so, and ``python -m training.NAME``. Nor does a misspelt name of a file.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
import sys

from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded, reading
from emu_perception.model_file import missing

# What commands call the checkpoints that they read. 'default' is the package's own.
_CHECKPOINTS = ('checkpoint', 'model', 'teacher', 'constants_of')
# Files that took minutes to make, or days.
_READ = (*_CHECKPOINTS, 'metrics', 'results', 'cameras')
# What options call a folder, and a file.
_FOLDERS = ('DIR', 'FOLDER')
_FILES = ('FILE', 'JSON', 'OUT', 'PNG', 'JPG', 'RESULT.json')
_WRITTEN = ('out', 'json', 'figure', 'markdown', 'pictures')


def read_first(module: str, arguments: list[str] | None) -> None:
    """
    Read a line by the ``parser()`` of a module that imports little; the command reads it again.

    Ends the process after ``--help`` and on what makes no sense.

    :raises EmuError: if a checkpoint that the line names is not there, or its recipe or data set
        cannot be used.
    """
    from emu_perception.dataset_fields import checked_root  # Brings NumPy, which emu --help lacks.
    with reader_may_leave(), reading():
        parser = import_module(module).parser()
        options = parser.options(arguments)
        check_kinds(parser, options)
        check_checkpoints(options)
        for folder in _named(options, 'data'):
            checked_root(folder)
        check_results(options)
        parser.check(options)


def check_kinds(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """
    Look whether a file was given where a folder is wanted, or the other way round.

    Each option says by its metavar which it wants. Of checkpoints their reader says it.

    :raises InputError: if so.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in {id(one): one for one in action.choices.values()}.values():
                if command.get_default('module') == getattr(options, 'module', None):
                    check_kinds(command, options)
            continue
        name = max(action.option_strings, key=len, default='')
        for given in _named(options, action.dest):
            if not isinstance(given, (str, Path)) or action.dest in _CHECKPOINTS:
                continue
            path = expanded(given)
            if action.metavar in _FOLDERS and path.exists() and not path.is_dir():
                raise InputError(f'{name} {given}: is a file; give a folder'.strip())
            if action.metavar in _FILES and path.is_dir():
                raise InputError(f'{name} {given}: is a folder; give the name of a file'.strip())


def check_checkpoints(options: argparse.Namespace) -> None:
    """
    Look for the checkpoints that a line names: a misspelt one shall not cost seconds.

    :raises EmuError: if one, or a folder in its place, is not there or cannot be looked for.
    """
    with reading():
        for name in _CHECKPOINTS:
            for path in _named(options, name):
                if str(path) != 'default' and not expanded(path).exists():
                    raise missing(Path(path))


def check_results(options: argparse.Namespace) -> None:
    """
    Look whether results would be written over what is read, or over one another.

    A checkpoint may be calibrated in its place: its new weights are for the command to judge.

    :raises InputError: if they would.
    """
    taken = {expanded(path).resolve(): name for name in _READ for path in _named(options, name)}
    for name in _WRITTEN:
        for path in _named(options, name):
            real = expanded(path).resolve()
            other = taken.setdefault(real, name)
            if other != name and (name, other) != ('out', 'checkpoint'):
                raise InputError(f'--{name} {path}: is the file of {other.replace("_", "-")} too; '
                                 'give another name')


def _named(options: argparse.Namespace, name: str) -> list[str | Path]:
    given = getattr(options, name, None)
    return given if isinstance(given, list) else [] if given is None else [given]


def started_module() -> str:
    """Return MODULE of ``python -m MODULE`` while Python is looking for it; '' at other times."""
    # So long the first argument is '-m' (documented); how Python was started has the name.
    if sys.argv[:1] != ['-m']:
        return ''
    return sys.orig_argv[-len(sys.argv)].removeprefix('-m')
