# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the training commands share: arguments, help on every field, one line for an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
import logging
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING, TypeVar

from emu_perception.commands.output_file import check_writable
from emu_perception.commands.program import CommandParser, is_subcommand
from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.errors import EmuError, InputError
from emu_perception.foreign_files import print_any_name, why_failed
from emu_perception.whole_files import write_json
import torch

from .recipes.recipe import load_recipe, Recipe
from .runs.heap import keep_freed_memory
from .runs.stopping import speaks, Stopped, stops_raised

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PACKAGE = __name__.rpartition('.')[0]
FIGURES = ('.png', '.pdf', '.svg')
Item = TypeVar('Item')


def recipe_of(options: argparse.Namespace, *more: str) -> Recipe:
    """Return the recipe that the arguments name, with further overrides."""
    return load_recipe(options.recipe, [*more, *options.overrides])


def run(command: Callable[[], object]) -> int:
    """
    Run a command; an error that is the user's to mend is one line, and so is a signal.

    :return: the exit code: 1 of an error, 143 of SIGTERM, 130 of Ctrl-C.
    """
    print_any_name()
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    # Lightning's advertisements and hints; its warnings stay.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    if _is_the_process():
        keep_freed_memory()
    try:
        with reader_may_leave(), stops_raised():
            command()
    except (EmuError, FloatingPointError) as error:
        return _failed(str(error))
    except torch.OutOfMemoryError as error:
        return _failed(f'{str(error).splitlines()[0]}: lower batch_size or crop_size')
    except OSError as error:
        # Folders that cannot be written, full disks: the user's to mend.
        return _failed(why_failed(error))
    except Stopped as stop:
        if speaks():
            print(stop, file=sys.stderr)
        return stop.code
    return 0


def _is_the_process() -> bool:
    """Tell whether a training command was started, not called from somebody else's process."""
    spec = getattr(sys.modules['__main__'], '__spec__', None)
    return is_subcommand() or spec is not None and spec.name.split('.')[0] == _PACKAGE


def _failed(text: str) -> int:
    print(f'error: {" ".join(text.split())}', file=sys.stderr)
    return 1


def check_figure(path: Path | None, option: str = '--figure') -> None:
    """
    Check that a figure can be written before the work is done.

    :param option: that gave its path.
    :raises InputError: if it cannot, or its name does not say its kind.
    """
    check_writable(path)
    if path is not None and path.suffix.lower() not in FIGURES:
        raise InputError(f'{option} is {path}: give a name that ends in ' + ', '.join(FIGURES))


def check_counts(options: argparse.Namespace, *names: str) -> None:
    """
    Check that options that were given are 1 or more.

    :raises InputError: if one is less.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} is {value}: give 1 or more")


def check_apart(out: Path, sources: Sequence[Path]) -> None:
    """
    Check that a file can be written, and not over one that it is made of: before the work.

    :raises InputError: if it cannot, or would be.
    """
    check_writable(out)
    for source in sources:
        if out.resolve() == source.resolve():
            raise InputError(f'--out is {out}: that is what it is made of: give another name')


def write_result(path: Path | None, result: object) -> None:
    """Write what ``--json`` asks for, if it does, and say so."""
    if path is not None:
        write_json(path, result)
        print(f'wrote {path}')


def write_figure(path: Path | None, draw: Callable[[], Figure]) -> None:
    """Draw what ``--figure`` asks for, if it does, and say so."""
    if path is not None:
        from .reporting.style import save
        save(draw(), path)
        print(f'wrote {path}')


def study_command(reader: CommandParser, arguments: list[str] | None,
                  study: Callable[[argparse.Namespace], dict[str, Any]],
                  table: Callable[[Mapping[str, Any]], str],
                  counts: Sequence[str] = ('limit',),
                  figures: Mapping[str, Callable[[Mapping[str, Any]], Figure]] | None = None,
                  ) -> int:
    """
    Run the command line of a study: its table is printed, its result written with the command.

    :param reader: of a parser with ``--json``.
    :param study: measures what the options say.
    :param counts: options that are 1 or more where they are given.
    :param figures: by the option that says where it goes, what draws it from the result.
    :return: the exit code.
    """
    options, drawn = reader.options(arguments), figures or {}

    def command() -> None:
        check_counts(options, *counts)
        check_writable(options.json)
        for name in drawn:
            check_figure(getattr(options, name), f'--{name}')
        result = {**study(options), 'command': reader.command(arguments)}
        print(table(result).rstrip('\n'))
        write_result(options.json, result)
        for name, draw in drawn.items():
            write_figure(getattr(options, name), partial(draw, result))
    return run(command)


def evenly_spaced(items: list[Item], limit: int | None) -> list[Item]:
    """Return as many stems or files as ``--limit`` allows; None = all."""
    if limit is None or limit >= len(items):
        return items
    return [items[int(i * len(items) / limit)] for i in range(limit)]
