# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Distil a teacher into a student (EMUFormer).

python -m training.distill --recipe FILE --teacher runs/NAME [--teacher F ...] data=DIR

The teacher is a folder that emu ensemble wrote, or any checkpoints: members of an ensemble, a
sub-ensemble, a network with Monte Carlo dropout. The student starts from its first member
unless network.initial_weights=... is said here; it is called RECIPE_emuformer unless name=...
is. All else is emu train.
"""

from __future__ import annotations

import argparse
import json

from .parsers import recipe_parser, RecipeParser


class _StudentParser(RecipeParser):

    def more(self, options: argparse.Namespace) -> list[str]:
        """Return what makes a recipe a student's: some fields are wrong in any other."""
        return student_overrides(options.teacher)


def student_overrides(teacher: list[str]) -> list[str]:
    """Return the overrides that make a recipe a student's."""
    # As JSON, which YAML reads: Python's own quotes of a name with a backslash it reads otherwise.
    return ['method=emuformer', f'emuformer.teacher={json.dumps(teacher)}',
            'network.initial_weights=teacher']


def parser() -> RecipeParser:
    """Return the parser of the command's line."""
    parser = recipe_parser('distill', __doc__, _StudentParser)
    parser.add_argument('--teacher', action='append', required=True, metavar='FOLDER|FILE',
                        help='may be given several times')
    return parser
