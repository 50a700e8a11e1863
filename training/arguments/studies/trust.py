# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask whether the flag can be trusted: by kind and severity of what may be wrong with a picture.

python -m training.studies.trust --checkpoint F --data DIR [--json OUT] [--figure OUT.png]
    [--observations FOLDER] [--images NAME=FOLDER ...]

Every image of a split, without its frame, as it is, in fifteen corruptions of five severities, in
breaks of content and in mild changes: accuracy, calibration, coverage, the scores and the flag. A
picture is bad where abs rel is above 0.3 or pixel accuracy below 0.45; the flag is judged by that.

The two scores that are fitted are fitted here again, to the training images, corrupted likewise,
and each kind is judged by a fit that has not seen it. Thresholds are joint, of the other runs of
frames; intervals are of whole runs drawn again. Photographs that are no rooms,
and folders of other images, have no truth: the share flagged is all that is known of them.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser

CORRUPTED = 4  # Of each training image, for the fit.


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('studies.trust', __doc__)
    parser.add_argument('--percentile', type=float, default=95.0,
                        help='of the clean images stay below all thresholds; default 95')
    parser.add_argument('--corrupted', type=int, default=CORRUPTED, metavar='N',
                        help=f'pictures of each training image for the fit; default {CORRUPTED}')
    parser.add_argument('--images', action='append', default=[], metavar='NAME=FOLDER',
                        help='other images, of no known camera; may be given several times')
    parser.add_argument('--train-limit', type=int, help='only so many training images')
    parser.add_argument('--observations', type=Path, metavar='FOLDER',
                        help='keep there what the network gave of the training pictures, and take '
                        'it from there the next time; emu calibrate has the same')
    parser.add_argument('--figure', type=Path, metavar='PNG', help='draw them here')
    return parser
