# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``emu_demo``: replay camera and node as processes of their own, panels and a summary."""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = CommandParser('emu_demo', __doc__)
    parser.add_argument('--images', type=Path, metavar='DIR',
                        help='folder of images or data set root; default: '
                        'examples/living_room and photographs that come inside scikit-image')
    parser.add_argument('--model', type=Path, metavar='FILE',
                        help='checkpoint; default: the one of the package')
    parser.add_argument('--out', type=Path, default=Path('out/demo'), metavar='DIR',
                        help='a folder of its own (default: %(default)s)')
    parser.add_argument('--limit', type=int, default=60, metavar='N',
                        help='at most so many images, evenly spaced (default: %(default)s)')
    parser.add_argument('--frame-timeout', type=float, default=60.0, metavar='S',
                        help='seconds to wait for an answer (default: %(default)s)')
    return parser
