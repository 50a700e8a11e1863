# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a command is called by whoever called it, and the parser that says so."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import logging
from pathlib import Path
import shlex
import sys
from typing import Any, NoReturn

from emu_perception.foreign_files import expanded
from emu_perception.rules import meant

_called_as = ''  # Of the process: one command runs in it.
_UNKNOWN = 'unrecognized arguments: '
_REQUIRED = 'the following arguments are required: '
_LONGEST_USAGE = 6  # Lines.
# What is one thing, and has one name before training and another after it.
_ALIKE = {'--checkpoint': '--model', '--model': '--checkpoint'}


@contextmanager
def called_as(name: str) -> Iterator[None]:
    """Let commands know the name that they are called by: 'emu predict' for emu_run."""
    global _called_as
    before, _called_as = _called_as, name
    try:
        yield
    finally:
        _called_as = before


@contextmanager
def logging_from(level: int, package: str = 'emu_perception') -> Iterator[None]:
    """Let a package log from a level on, and no less, while a command speaks for itself."""
    logger = logging.getLogger(package)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def program(own: str) -> str:
    """Return the name a command is called by, else its own."""
    return _called_as or own


def is_subcommand() -> bool:
    """Tell whether the command was called as one of emu's."""
    return bool(_called_as)


def for_a_terminal(docstring: str) -> str:
    """Return a docstring as it is read in a terminal: ``name`` is `name` there."""
    return docstring.replace('``', '`')


def usage_error(parser: argparse.ArgumentParser, message: str) -> str:
    """
    Return what is said of a line that makes no sense.

    A short usage stands above what is wrong; of a long one, below which that would be lost, the
    same line says where it is.
    """
    usage = parser.format_usage()
    if usage.count('\n') > _LONGEST_USAGE:
        return f'{parser.prog}: error: {message} ({parser.prog} --help lists the options)\n'
    return f'{usage}{parser.prog}: error: {message}\n'


class _PathParser(argparse.ArgumentParser):
    """Argparse's, to which ~ is a folder too where a shell leaves it: in --out=~/runs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register('type', Path, expanded)


class SubcommandParser(_PathParser):
    """The parser of one command of several in one parser."""

    def error(self, message: str) -> NoReturn:
        """End the process with code 2 and the message."""
        self.exit(2, usage_error(self, message))


class CommandParser(_PathParser):
    """
    Argparse's, named as it was called, that says which option an unknown one may be meant to be.

    :param own: the command's name where nothing else has called it; its description says the
        name that it was called by in place of this one.
    """

    def __init__(self, own: str, description: str | None) -> None:
        said = None if description is None else for_a_terminal(
            description.replace(own, program(own)))
        super().__init__(prog=program(own), description=said,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

        self._given: list[str] = []

    def options(self, arguments: list[str] | None) -> argparse.Namespace:
        """Return the options; ends the process on what makes no sense, and after help."""
        return self.parse_args(arguments)

    def check(self, options: argparse.Namespace) -> None:
        """
        Check what a line names, before the command is imported; here nothing.

        :raises EmuError: if it is not there, or makes no sense.
        """

    def parse_known_args(  # type: ignore[override]
            self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None,
            ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, and keep the words: what is wrong with them is said of them."""
        self._given = [*(sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End the process with code 2, the message and what may have been meant."""
        self.exit(2, usage_error(self, self._with_meant(message)))

    def _with_meant(self, message: str) -> str:
        if message.startswith(_UNKNOWN):
            first = message[len(_UNKNOWN):].split()[0].partition('=')[0]
            if not first.startswith('-') and any(action.metavar == 'INPUT'
                                                 for action in self._actions):
                message += '; give one INPUT: of several images their folder'  # Of *.jpg.
            else:
                message += self._meant(first)
        elif message.startswith(_REQUIRED):  # Misspelt, it may be there.
            words = [*self._option_string_actions, *self.words()]
            message += ''.join(f"; '{first}' is none of the options{self._meant(first)}"
                               for first in (word.partition('=')[0] for word in self._given)
                               if first.startswith('--') and first != '--'
                               and not any(word.startswith(first) for word in words))
        return message

    def _meant(self, option: str) -> str:
        words = self.words()
        return meant(alike if (alike := _ALIKE.get(option)) in words else option, words)

    def words(self) -> list[str]:
        """Return the words that an unknown option may be meant to be."""
        return [text for text in self._option_string_actions if text.startswith('--')]

    def command(self, arguments: list[str] | None) -> str:
        """Return the command as it can be said again, for the files that it writes."""
        given = sys.argv[1:] if arguments is None else arguments
        return f'{self.prog} {shlex.join(given)}'.strip()
