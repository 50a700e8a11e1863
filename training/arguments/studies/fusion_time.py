# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What joining a depth camera in costs an image, and what taking a lens's distortion out does.

python -m training.studies.fusion_time [--images N]

Of VGA, without the network. Joining: hint checked, fused, with its sigma and source; half the
image hidden. Rectifying: the image, and the hint beside it; the maps are there. On a machine that
does nothing else, or the figures are the others'.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.fusion_time', __doc__)
    parser.add_argument('--images', type=int, default=200, metavar='N', help='default 200')
    return parser
