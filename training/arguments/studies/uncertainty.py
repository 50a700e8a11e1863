# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether a checkpoint's uncertainty means something.

python -m training.studies.uncertainty --checkpoint F --data DIR [--images NAME=FOLDER ...]
    [--json OUT] [--figure OUT.png]

The images of a split, clean and corrupted (dark, blur, cover, noise, lens flare), folders of
other images, and photographs that are no rooms (out of distribution): mean uncertainty of each
image, the share that the checkpoint's own risk thresholds flag, and how well the mean uncertainty
tells an unlike image from a clean one (AUROC). Where the truth is known also what the network gets
right, and how well the uncertainty finds the wrong pixels. The thresholds were fixed before; on
the clean images that they were made from the share flagged is what their percentile leaves
(emu calibrate measures false alarms across runs).
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('studies.uncertainty', __doc__)
    parser.add_argument('--images', action='append', default=[], metavar='NAME=FOLDER',
                        help='other images, of no known camera; may be given several times')
    parser.add_argument('--figure', type=Path, metavar='PNG', help='draw the means here')
    return parser
