# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the training commands share: arguments, help on every field, one line for an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import logging
import sys

from emu_perception.errors import EmuError
from training.options import explained
from training.recipe import load_recipe, Recipe


class FieldsAction(argparse.Action):
    """``--fields``: print every field of a recipe with its default, and end."""

    def __call__(self, parser: argparse.ArgumentParser, *ignored: object) -> None:
        print('\n'.join(explained(Recipe)))
        parser.exit()


def recipe_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of ``--recipe FILE [--resume] [--no-progress] [field=value ...]``."""
    parser = command_parser(name, description)
    parser.add_argument('--recipe', required=True, metavar='FILE',
                        help='YAML, see training/recipes (paper.yaml, best.yaml, ...)')
    parser.add_argument('--fields', action=FieldsAction, nargs=0,
                        help='list every field of a recipe with its default and meaning')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    parser.add_argument('overrides', nargs='*', metavar='field=value',
                        help='for example data=DIR epochs=10 optimizer.learning_rate=1e-4')
    return parser


def command_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of ``python -m training.NAME``."""
    return argparse.ArgumentParser(prog=f'python -m training.{name}', description=description,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)


def recipe_of(options: argparse.Namespace, *more: str) -> Recipe:
    """Return the recipe that the arguments name, with further overrides."""
    return load_recipe(options.recipe, [*more, *options.overrides])


def run(command: Callable[[], object]) -> int:
    """Run a command; an error that is the user's to mend is one line. Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    # Lightning's advertisements and hints; its warnings stay.
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    try:
        command()
    except (EmuError, FloatingPointError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0
