# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Write one HTML page that compares results of emu evaluate, also with the paper's tables.

python -m training.report RESULT.json [RESULT.json ...] --out report.html [--data DIR]

The page needs no other file. With --data, and checkpoints where the results name them, it shows
the best and the worst images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('report', __doc__)
    parser.add_argument('results', nargs='+', type=Path, metavar='RESULT.json',
                        help='written by emu evaluate, of one data set and split')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE', help='the page, HTML')
    parser.add_argument('--data', metavar='DIR', help='data set folder, to show images from')
    parser.add_argument('--title', help='default: data set and split')
    parser.add_argument('--images', type=_count, default=3, metavar='N',
                        help='best and worst images by each criterion, default 3')
    parser.add_argument('--markdown', type=Path, metavar='FILE',
                        help='write the main table here too')
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError('0 or more is expected')
    return count
