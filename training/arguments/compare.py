# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Train and measure every method of the paper with one recipe, and make the table.

python -m training.compare --recipe nyuv2_small data=DIR [--members 3]

Trains SegFormer, DepthFormer and SegDepthFormer, Monte Carlo dropout, a deep sub-ensemble, a deep
ensemble and its student EMUFormer in OUTPUT/NAME, one after the other with the same number of
epochs, and a control: the baseline with as many epochs as the student has had in all. Then each is
measured on the validation split, and emu report makes results/report.html. What is there
already is not done again: say the same command to go on after a stop.
"""

from __future__ import annotations

from pathlib import Path

from .parsers import recipe_parser, RecipeParser

# Of the rows of the table, said again: training.compare brings what trains. A test holds them.
KEYS = ('baseline', 'ensemble', 'mc_dropout', 'sub_ensemble', 'emuformer', 'segformer',
        'depthformer', 'baseline_long')


def parser() -> RecipeParser:
    """Return the parser of the command's line."""
    parser = recipe_parser('compare', __doc__)
    parser.add_argument('--members', type=int, default=10, metavar='N',
                        help='of the ensemble; default 10')
    parser.add_argument('--results', type=Path, metavar='DIR', help='default: OUTPUT/NAME/results')
    parser.add_argument('--only', default='', metavar='A,B', help=f'of {", ".join(KEYS)}')
    parser.add_argument('--parallel', default='1', metavar='N|auto',
                        help='members side by side')
    return parser
