# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what a lens costs whose distortion is taken out before the network, and what it costs if not.

python -m training.studies.rectification --checkpoint F --data DIR [--json OUT] [--limit N]

Each picture of a split is taken once more by lenses of known models (plumb_bob, rational
polynomial, equidistant, also with all coefficients 0), rectified as the node rectifies it, and
judged against the same truth as the picture itself. Then the lens's image is taken as it is:
how far points lie from where they are, with K alone.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.rectification', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', required=True, help='data set folder')
    parser.add_argument('--split', default='val', help='measured; default val')
    parser.add_argument('--limit', type=int, help='only so many of the split, evenly spaced')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, help='write all figures here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
