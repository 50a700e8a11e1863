# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether the members of an ensemble differ, and what a student sees of it.

python -m training.studies.teacher --teacher FOLDER|FILE [...] --data DIR [--json OUT]

Members that agree teach nothing: the share of pixels on which each two differ, also as a share of
their mean error (Fort et al. 2019: 0 = copies, 2 = never wrong on the same pixel). And the reason
for the teacher's colour jitter: its uncertainty on the training images, on the same jittered, and
on the validation images. A student that is shown the first learns too small ones.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ...recipes.sections import DistillationOptions
from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.teacher', __doc__)
    parser.add_argument('--teacher', required=True, nargs='+', type=Path, metavar='FOLDER|FILE')
    parser.add_argument('--data', required=True, metavar='DIR', help='data set folder')
    parser.add_argument('--limit', type=int, metavar='N', help='only so many images of each kind')
    parser.add_argument('--jitter', type=float, nargs=4, default=DistillationOptions().jitter,
                        metavar=('BRIGHTNESS', 'CONTRAST', 'SATURATION', 'HUE'),
                        help='default: as in emuformer.jitter')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
