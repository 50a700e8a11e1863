# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Make and check data set folders: emu prepare nyuv2 | cityscapes | bag | synthetic | check.

Each converter writes image/, depth/, label/, {train,val,test}.txt and, last of all, dataset.yaml:
a folder without dataset.yaml is a conversion that did not finish. `COMMAND --help` says more.
"""

from __future__ import annotations

import argparse

from emu_perception.commands.program import CommandParser, SubcommandParser

from .datasets import bag, check, cityscapes, nyuv2, synthetic

# Commands are found by the names that they had, too.
EARLIER_NAMES = {'synthetic': ['made']}


def parser() -> CommandParser:
    """Return the parser of the command's line; ``module`` is the one of training.prepare."""
    parser = CommandParser('python -m training.prepare', __doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND',
                                     parser_class=SubcommandParser)
    for module in (nyuv2, cityscapes, bag, synthetic, check):
        summary = str(module.__doc__).strip().splitlines()[0]
        name = module.__name__.rpartition('.')[2]
        command = commands.add_parser(
            name, aliases=EARLIER_NAMES.get(name, []), help=summary, description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(module=name)
    return parser
