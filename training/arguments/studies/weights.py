# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Task weights, studied: Figure 2 and Table 1 of Kendall et al. (arXiv 1705.07115) with one recipe.

python -m training.studies.weights --recipe kendall_made data=DIR
    [--results DIR] [--seeds 1] [--grid 0.02,0.1,0.5,0.9,0.98] [--initial-s=-2,0,2,5]

Trains single tasks, the unweighted sum, a grid of fixed weights for two pairs of tasks, fixed
weights for three from the best of both grids, and learned weights for every pair and for all
three; each with the same budget and the same seeds, the last epoch measured on the validation
split. Leaves study.json, table.md, figure.png and, with --initial-s, initial_s.png: what the
learned noise does from several starts. What is there already is not done again.
"""

from __future__ import annotations

from pathlib import Path

from ..parsers import recipe_parser, RecipeParser


def parser() -> RecipeParser:
    """Return the parser of the command's line."""
    parser = recipe_parser('studies.weights', __doc__)
    parser.add_argument('--results', type=Path, metavar='DIR', help='default: OUTPUT/NAME/results')
    parser.add_argument('--seeds', type=int, default=1, help='runs of each setting; default 1')
    parser.add_argument('--grid', default='0.02,0.1,0.3,0.5,0.7,0.9,0.98', metavar='W,W',
                        help="weights of a pair's first task; default %(default)s")
    parser.add_argument('--initial-s', default='', metavar='S,S',
                        help='starts of s of all tasks, as --initial-s=-2,0,2,5')
    parser.add_argument('--ap', action='store_true', help='measure AP of instances too: slow')
    parser.add_argument('--parallel', default='1', metavar='N|auto', help='runs side by side')
    return parser
