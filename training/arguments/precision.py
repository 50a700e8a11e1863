# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a reduced precision costs: accuracy and calibration beside the time, on a split with truth.

python -m training.precision --checkpoint F --data DIR [--split val] [--limit N] [--json OUT]

Each precision is the Predictor as the robot has it, with the checkpoint's constants; the first
one is what the others are compared with. Images in turn, so the times are of the same moments.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..recipes.registry import PRECISIONS
from .parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('precision', __doc__)
    parser.add_argument('--precisions', default='fp32,bf16', metavar='A,B',
                        help=f'of {", ".join(PRECISIONS.values())}; default %(default)s')
    parser.add_argument('--backend', default='auto')
    return parser
