# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Make and check data set folders: what is asked for is imported, and nothing else."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
import logging
import sys
from typing import Any

from emu_perception.commands.reader_leaves import reader_may_leave
from emu_perception.errors import EmuError
from emu_perception.foreign_files import print_any_name, why_failed

from ..arguments.prepare import parser
from ..runs.stopping import Stopped, stops_raised


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().options(arguments)
    print_any_name()
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    try:
        with stops_raised(), reader_may_leave():
            run: Callable[[Any], int] = import_module(f'.{options.module}', __package__).run
            return run(options)
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
    except OSError as error:  # Folders that cannot be read or written.
        print(f'error: {why_failed(error)}', file=sys.stderr)
    except Stopped as stop:
        print(Stopped(stop.number, _left(options)), file=sys.stderr)
        return stop.code
    return 1


def _left(options: argparse.Namespace) -> str:
    """Return what a command leaves that is stopped, for people."""
    out = getattr(options, 'out', None)
    if out is None or not out.exists():
        return 'nothing was written'
    if (out / 'dataset.yaml').exists():  # Of before, where no file has been written yet.
        return f'{out} is whole'
    return (f'{out} has no dataset.yaml, it is not whole: the same command with --force begins '
            'again')


if __name__ == '__main__':
    sys.exit(main())
