# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Make and check data set folders: training.prepare nyuv2 | cityscapes | bag | synthetic | check.

Each converter writes image/, depth/, label/, {train,val,test}.txt and, last of all, dataset.yaml:
a folder without dataset.yaml is a conversion that did not finish. `COMMAND --help` says more.
"""

from __future__ import annotations

import argparse
import logging
import sys

from emu_perception.commands.program import CommandParser
from emu_perception.errors import EmuError
from emu_perception.foreign_files import print_any_name

from . import bag, check, cityscapes, nyuv2, synthetic

# Commands are found by the names that they had, too.
EARLIER_NAMES = {'synthetic': ['made']}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = CommandParser('python -m training.prepare', __doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND',
                                     parser_class=argparse.ArgumentParser)
    for module in (nyuv2, cityscapes, bag, synthetic, check):
        summary = str(module.__doc__).strip().splitlines()[0]
        name = module.__name__.rpartition('.')[2]
        command = commands.add_parser(
            name, aliases=EARLIER_NAMES.get(name, []), help=summary, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    print_any_name()
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')
    try:
        return options.run(options)
    except EmuError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
