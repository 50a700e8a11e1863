# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what a depth camera with holes and the network are worth together.

python -m training.studies.fusion --checkpoint F --data DIR [--json OUT] [--figure OUT.png]
    [--pictures OUT.png] [--other DIR ...] [--seeds 5] [--limit N]

Parts of the true depth of a split are hidden, in kinds and seeds: blobs of 30, 78 and 95 %, half,
a box, all beyond 4 m, and what a sensor does not see (windows, mirrors, screens, dark, grazing,
shadows beside edges). What is hidden is filled by the nearest depth, by inpainting, by push-pull,
by weighted least squares along the picture, and by fusion; errors are of the hidden part alone.
The constants of the fused uncertainty are fitted leaving runs of frames out; coverage is of the
runs left out. Then the focal length is given wrong by 1.3, and the sensor noise and outliers.

``--other``: data set folders of other cameras, whose own depth is hidden in parts: with the
constants in force, nothing fitted to them.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('studies.fusion', __doc__, 'data set folder with depth')
    parser.add_argument('--other', action='append', default=[], metavar='DIR',
                        help='data set folder of another camera; may be given several times')
    parser.add_argument('--seeds', type=int, default=5, help='of holes; default 5')
    parser.add_argument('--figure', type=Path, metavar='PNG', help='draw them here')
    parser.add_argument('--pictures', type=Path, metavar='PNG',
                        help='a few images of each data set with their holes, sources and sigma')
    return parser
