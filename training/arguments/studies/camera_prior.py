# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask how far a network's metres may be off on a camera of which only the focal length is known.

python -m training.studies.camera_prior --cameras JSON --checkpoint F --data DIR [--data DIR ...]
    [--json OUT]

The log factor of a camera's images is b, and s of each image (``emu_perception.fusion.belief``).
The prior of b is Student's t around 0, whose scale and degrees of freedom are fitted by maximum
likelihood to the cameras' medians: to the simulated ones (``--cameras``, what ``emu study cameras
--json`` wrote) and to these with the real ones (``--data``, data set folders of other cameras).
Each camera is left out in turn, and asked whether the prior of the others covers it. Then what the
real cameras' images say of the prior in force: how much of their true depth the 90 % intervals of
the network alone hold, with the sigma that is published before any hint, and without its part
that all pixels share.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('studies.camera_prior', __doc__)
    parser.add_argument('--cameras', required=True, type=Path, metavar='JSON',
                        help='of emu study cameras')
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE')
    parser.add_argument('--data', action='append', required=True, metavar='DIR',
                        help='data set folder of another camera, with depth and intrinsics; may '
                        'be given several times')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures here')
    return parser
