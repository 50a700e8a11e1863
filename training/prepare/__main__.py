# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Make and check data set folders: what is asked for is imported, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
import logging
import sys
from typing import Any

from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.errors import EmuError
from emu_perception.foreign_files import print_any_name

from ..arguments.prepare import parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)
    print_any_name()
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    try:
        run: Callable[[Any], int] = import_module(f'.{options.module}', __package__).run
        with reader_may_leave():
            return run(options)
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
