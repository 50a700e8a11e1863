# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Average the weights of networks that were trained on from the same start: one network again.

python -m training.average --checkpoint A --checkpoint B [--weight 2 --weight 1] --out FILE
    [--input-size 352x480 --depth-factor 1.15 --depth-factor 0.93]

Fine-tunings of one network lie in one valley; the middle of them errs less than each, at the cost
of one ("model soups", Wortsman et al. 2022, arXiv 2203.05482). Networks that began apart have
nothing in common to average. The average is to be calibrated and evaluated anew.

Networks of different sizes meet at one between them: what a network sees larger than in its
training it takes for nearer, so that its depths need a factor there, found on training images.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('average', __doc__)
    parser.add_argument('--checkpoint', action='append', type=Path, required=True, metavar='FILE',
                        help='two or more, trained on from the same start')
    parser.add_argument('--weight', action='append', type=float, default=[], metavar='W',
                        help='of each checkpoint, in their order; default: all alike')
    parser.add_argument('--input-size', metavar='HxW',
                        help='of the average, where the networks differ in it: 352x480')
    parser.add_argument('--depth-factor', action='append', type=float, default=[], metavar='F',
                        help="to each checkpoint's depths, in their order, before they are "
                        'averaged; default 1')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    return parser
