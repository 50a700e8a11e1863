# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Write the parameters of Nav2's semantic segmentation layer for a checkpoint.

emu nav2-layer --ground "floor,floor mat" [--overhead ceiling] [--model FILE] [--node /emu]
    [--out FILE]

The layer ignores a class that its parameters do not name, with a line CRITICAL ERROR, and ends its
process where no class is named at all; so every class of the checkpoint is: as ground (cost 0), as
overhead (cost 0: the layer knows no heights, and a ceiling would block all below it), or as
obstacle (lethal). So are pixels without a label, which ~/label_info names too: what the layer has
no name for it passes over. What is labelled ground by mistake stays free to it: keep an obstacle
layer of ~/points/obstacles beside it (examples/nav2/costmap.yaml).
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = CommandParser('emu nav2-layer', __doc__)
    parser.add_argument('--model', type=Path, metavar='FILE', help="default: the package's")
    parser.add_argument('--ground', default='', metavar='A,B', help='classes to drive on')
    parser.add_argument('--overhead', default='', metavar='A,B', help='classes above the robot')
    parser.add_argument('--node', default='/emu',
                        help="the node's full name; default: %(default)s")
    parser.add_argument('--out', type=Path, metavar='FILE', help='default: print')
    return parser
