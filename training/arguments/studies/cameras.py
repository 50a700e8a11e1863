# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what labels, metres and intervals are worth through other lenses and on other sensors.

python -m training.studies.cameras --checkpoint F --data DIR [--split val] [--json OUT]

Every image of a split, without its frame, as seventeen simulated cameras give it, each with its
true focal length (``training.studies.camera_views``). The factor is the median of true depth /
depth over an image: what is wrong with all its metres at once, and what a depth camera would mend.
Intervals are of whole runs of frames drawn again. Real other cameras differ in more than this.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.cameras', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', required=True, help='data set folder')
    parser.add_argument('--split', default='val', help='default val')
    parser.add_argument('--limit', type=int, help='only so many images, evenly spaced')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--json', type=Path, help='write all figures here')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
    return parser
