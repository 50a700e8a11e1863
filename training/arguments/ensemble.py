# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Train the members of a deep ensemble.

python -m training.ensemble --recipe FILE --members 10 data=DIR

Member i is ``emu train`` with seed + i in OUTPUT/NAME/member_0i: the same encoder weights,
heads drawn anew, another order and other views. Each is a process of its own, so one that fails
does not take the others along. Finished members are skipped, interrupted ones resumed: say the
same command again. --parallel runs several side by side (on one GPU as many as fit); --shard 1/4,
or a job array under SLURM or torchrun, spreads them over machines.
"""

from __future__ import annotations

from .parsers import recipe_parser, RecipeParser


def parser() -> RecipeParser:
    """Return the parser of the command's line."""
    parser = recipe_parser('ensemble', __doc__)
    parser.add_argument('--members', type=int, default=10, metavar='N',
                        help='default 10, as in the paper')
    parser.add_argument('--folds', type=int, default=0, metavar='N',
                        help='member i learns without fold i of N, of whole runs of frames: '
                        'more diverse, and each image is new to one of N members')
    parser.add_argument('--only', metavar='I,J', help='train these members only, from 0')
    parser.add_argument('--shard', metavar='I/N', help='train the I-th of N parts of the members')
    parser.add_argument('--parallel', default='1', metavar='N|auto',
                        help='members side by side; auto: as many as fit on the GPUs, 1 without')
    return parser
