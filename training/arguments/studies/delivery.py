# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask how well it is known that pictures are upright, in their colours, and light to the corners.

python -m training.studies.delivery --checkpoint F --data DIR [--json OUT]
    [--images NAME=FOLDER ...]

Every image of a split, without its frame, and of folders of other images, as it is and delivered
otherwise (``emu_perception.delivery``): of how many the network is surer as they are, and what is
said of each 20 successive images, as they are and if they had been delivered so. And how light
their corners are, as they are and under a hood that darkens them (``emu_perception.shading``). No
truth is asked for but that the images stand as they should.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('studies.delivery', __doc__)
    parser.add_argument('--images', action='append', default=[], metavar='NAME=FOLDER',
                        help='other images, upright and in their colours, in their order; may be '
                        'given several times')
    return parser
