# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what a student's epistemic outputs are worth.

python -m training.studies.epistemic --checkpoint STUDENT --teacher FOLDER|FILE [...] --data DIR
    [--limit N] [--json OUT]

Do they say what its teacher's members say? The student was trained with
emuformer.epistemic=true. Rank correlation of its maps with the teacher's, pixel by pixel, on clean
images; how well each part of the uncertainty, of student and teacher, finds an object pasted in
that the images have nowhere (a piece of another image, upside down, its colours exchanged) and a
part of the image that is corrupted (AUROC of the pixels inside against those outside); and what
the further outputs cost the student. Detection says what a map is for: noise (aleatoric) may be
high where nothing is foreign.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.epistemic', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE',
                        help='the student')
    parser.add_argument('--teacher', required=True, nargs='+', type=Path, metavar='FOLDER|FILE')
    parser.add_argument('--data', required=True, metavar='DIR', help='data set folder')
    parser.add_argument('--limit', type=int, metavar='N', help='only so many images')
    parser.add_argument('--rounds', type=int, default=30, help='of timing; default 30')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--backend', default='auto', help="the student's")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
