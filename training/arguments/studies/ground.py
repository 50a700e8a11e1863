# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what the ground tells of a network's metres, where the camera's height is known.

python -m training.studies.ground --checkpoint F [--data DIR ...] [--robot DIR ...] [--json OUT]
    [--figure PNG]

The ground's true plane is fitted to the true depth of what is labelled ground, by the data set or,
where that has no labels, by the network; it gives
the camera's height and pitch, as a robot's builder would measure them: of ``--data`` for each
image, of ``--robot``, whose camera is fixed, one for all (the medians). Then ground_scale brings
the network's metres to scale, each image by itself, and the images that show ground are compared
with the truth: with height and pitch as they are, with both wrong, with whatever is ground taken
for it, and with furniture taken for it.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.ground', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', action='append', default=[], metavar='DIR',
                        help='data set folder with depth and intrinsics, whose camera moves; may '
                        'be given several times')
    parser.add_argument('--robot', action='append', default=[], metavar='DIR',
                        help='the same of a camera that is fixed to a robot')
    parser.add_argument('--ground', nargs='+', default=('floor', 'floor mat'), metavar='NAME',
                        help='classes that are ground (default: floor, floor mat)')
    parser.add_argument('--furniture', nargs='+', metavar='NAME',
                        default=('table', 'desk', 'bed', 'counter', 'sofa'),
                        help='classes that lie above it and are flat, to be taken for ground '
                        '(default: table, desk, bed, counter, sofa)')
    parser.add_argument('--limit', type=int, metavar='N', help='so many images of each')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    parser.add_argument('--figure', type=Path, metavar='FILE',
                        help="each image's factor, as a picture")
    return parser
