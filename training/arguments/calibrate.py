# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Calibrate a checkpoint on images it was not trained on.

python -m training.calibrate --checkpoint F --data DIR --split val [--fit-scores] [--out F2]
    [--json OUT]

Fits the temperature of the softmax (smallest NLL), the scale of the depth variance (smallest
Gaussian NLL), the risk thresholds (a percentile of each of these images' scores), and the promised
maps (depth intervals and sets of classes that hold in new rooms; docs/promises.md), and writes
them into the checkpoint. Says ECE, NLL, interval coverage and false alarms before and
after; after is cross-fitted: each run of neighbouring frames is measured with the constants of
the other runs.

With --fit-scores unfamiliarity and predicted failure are fitted to the training images as well,
and all scores get thresholds that raise the stated share of false alarms together. They are of
these very constants: a calibration without it drops what an earlier one has fitted.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import command_parser

DRIVABLE = ('floor', 'road')


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('calibrate', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', metavar='DIR', help='data set folder')
    parser.add_argument('--constants-of', type=Path, metavar='TWIN',
                        help='fit nothing: take those of this checkpoint, the same recipe trained '
                        'on train alone, for one that was trained on train+val')
    parser.add_argument('--split', help='not what it was trained on; default val')
    parser.add_argument('--fit-scores', action='store_true',
                        help='fit unfamiliarity and predicted failure to the training images, and '
                        'thresholds of all scores together')
    parser.add_argument('--observations', type=Path, metavar='FOLDER',
                        help='with --fit-scores: keep there what the network gave of the training '
                        'pictures, for emu study trust or the next time')
    parser.add_argument('--out', type=Path, metavar='FILE', help='default: the checkpoint itself')
    parser.add_argument('--percentile', type=float,
                        help='of these images stay below each risk threshold; default 95')
    parser.add_argument('--folds', type=int,
                        help='of whole runs of neighbouring frames, for the figures after; '
                        'default 5')
    parser.add_argument('--new-thresholds', action='store_true',
                        help='also where the images are too few for the percentile and the '
                        'checkpoint has thresholds of more, which are kept else')
    parser.add_argument('--drivable', metavar='A,B',
                        help='classes of which at most a tenth of what is called so may be '
                        'something else: says the ground_min_confidence for it (default: those '
                        f'of {", ".join(DRIVABLE)} that there are)')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='write constants and metrics here')
    parser.add_argument('--figure', type=Path, metavar='FILE',
                        help='draw what the promised maps were worth in each run left out (.png, '
                        '.pdf, .svg)')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
