# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure checkpoints on a split: all metrics, as JSON.

python -m training.evaluate --checkpoint F [F ...] --data DIR --split val --json OUT [--trivial]

Several checkpoints (or a folder of members) answer together as a deep ensemble; a sub-ensemble and
a network with Monte Carlo dropout are sampled as they were trained. Maps are compared at the
images' full size, pooled over all pixels; integer counts, so the order of images does not matter.
The trivial baselines (the most frequent class everywhere; the mean depth map of the training
images) say what a number is worth.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..recipes.registry import METHODS, TRAINED
from .parsers import command_parser

# How a checkpoint can be sampled: as it was trained, in one pass, or by a method that draws more.
SAMPLED = ('auto', 'deterministic', *(name for name in TRAINED if METHODS[name].samples))


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('evaluate', __doc__)
    parser.add_argument('--checkpoint', required=True, nargs='+', type=Path, metavar='FILE',
                        help='one or more checkpoints, or a folder of members')
    parser.add_argument('--data', required=True, metavar='DIR', help='data set folder')
    parser.add_argument('--split', default='val', help='default val')
    parser.add_argument('--method', default='auto', choices=SAMPLED,
                        help='how each checkpoint is sampled; auto: as it was trained')
    parser.add_argument('--samples', type=int, metavar='N', help='of Monte Carlo dropout')
    parser.add_argument('--void', default='exclude', choices=('exclude', 'as_inaccurate'),
                        help='unlabelled pixels in the uncertainty metrics (the file has both)')
    parser.add_argument('--threshold', default='mean', choices=('mean', 'median'),
                        help='of certainty, over each image (the file has both)')
    parser.add_argument('--crop', metavar='ROWS,COLUMNS',
                        help="truth used: 45:471,41:601 is NYUv2's official crop")
    parser.add_argument('--min-instance-pixels', type=int, default=100,
                        help="true instances below are ignored in AP; default 100, Cityscapes' at "
                        'its full size')
    parser.add_argument('--no-ap', action='store_true',
                        help='no AP of instances: the clustering takes longer than all else')
    parser.add_argument('--limit', type=int, metavar='N',
                        help='only so many images, evenly spaced')
    parser.add_argument('--name', help="of the row in tables; default: the checkpoint's own, of "
                        'several the method')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the metrics here')
    parser.add_argument('--trivial', action='store_true', help='measure the trivial baselines too')
    parser.add_argument('--time', type=int, metavar='ROUNDS',
                        help='also time so many answers, of one pass by the backend that a robot '
                        'would run, sampled ones in PyTorch; on a machine that does nothing else')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
