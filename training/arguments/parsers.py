# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The parsers that the training commands share, with every field of a recipe as an option."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
import sys

from emu_perception.commands.program import CommandParser, logging_from, program
from emu_perception.dataset_fields import checked_root
from emu_perception.foreign_files import file_in_the_way

from ..recipes.command_fields import field_names, fields_as_overrides
from ..recipes.options import explained, RecipeError
from ..recipes.recipe import load_recipe, Recipe, recipe_names

_PACKAGE = __name__.partition('.')[0]


class FieldsAction(argparse.Action):
    """``--fields``: print every field of a recipe with its default, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        print('\n'.join(explained(Recipe)))
        parser.exit()


class MixedParser(CommandParser):
    """A parser of commands with ``field=value`` words, anywhere between the options."""

    def options(self, arguments: list[str] | None) -> argparse.Namespace:
        """Return the options; ends the process with code 2 on what makes no sense."""
        return self.parse_intermixed_args(arguments)


class RecipeParser(MixedParser):
    """A parser of commands with a recipe: ``--epochs 3`` is ``epochs=3``, for every field."""

    def parse_intermixed_args(  # type: ignore[override]
            self, args: list[str] | None = None) -> argparse.Namespace:
        """Return the options; ends the process with code 2 on what makes no sense."""
        words = sys.argv[1:] if args is None else args
        try:
            words = fields_as_overrides(words, self._option_string_actions)
        except RecipeError as error:
            self.error(str(error))
        return super().parse_intermixed_args(words)

    def check(self, options: argparse.Namespace) -> None:
        """
        Read the recipe and look for its data; what is odd about them the command says.

        :raises EmuError: if one cannot be used.
        """
        with logging_from(logging.ERROR, 'training'):
            recipe = load_recipe(options.recipe, [*self.more(options), *options.overrides])
        checked_root(recipe.data)
        blocking = file_in_the_way(recipe.folder)
        if blocking is not None:
            raise RecipeError(f"field 'output' is {recipe.output}: {blocking} is a file, not a "
                              'folder; give another')

    def more(self, options: argparse.Namespace) -> list[str]:
        """Return the overrides that the command adds by itself."""
        return []

    def words(self) -> list[str]:
        """Return the options and the fields of a recipe."""
        return [*super().words(), *(f'--{name}' for name in field_names(Recipe))]


def recipe_parser(name: str, description: str | None, kind: type[RecipeParser] = RecipeParser
                  ) -> RecipeParser:
    """Return a parser of ``--recipe FILE [--resume] [--no-progress] [field=value ...]``."""
    parser = kind(*named(name, description))
    parser.add_argument('--recipe', required=True, metavar='NAME|FILE',
                        help=f"a YAML file, or one of the package's: {', '.join(recipe_names())}")
    parser.add_argument('--fields', action=FieldsAction, nargs=0,
                        help='list every field of a recipe with its default and meaning')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    parser.add_argument('overrides', nargs='*', metavar='field=value',
                        help='for example data=DIR epochs=10 optimizer.learning_rate=1e-4; or '
                        '--data DIR --epochs 10 --optimizer.learning-rate 1e-4')
    return parser


def command_parser(name: str, description: str | None) -> CommandParser:
    """Return the parser of ``python -m training.NAME``, or of emu's subcommand."""
    return CommandParser(*named(name, description))


def measuring_parser(name: str, description: str | None, data: str = 'data set folder',
                     ) -> CommandParser:
    """
    Return a parser of what every command takes that measures a checkpoint on a split.

    :param data: help of ``--data``.
    """
    parser = command_parser(name, description)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', required=True, metavar='DIR', help=data)
    parser.add_argument('--split', default='val', help='measured; default val')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='only so many of the split, evenly spaced')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser


def named(name: str, description: str | None) -> tuple[str, str]:
    """Return what starts a command by itself, and its description with what it was started by."""
    own = f'python -m {_PACKAGE}.{name}'
    return own, str(description).replace(f'python -m training.{name}', program(own))
