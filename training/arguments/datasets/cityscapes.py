# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Cityscapes (leftImg8bit, gtFine, disparity, camera) as a data set folder.

--depth metric: metres = baseline * fx / d with each image's own camera file, where d = (p - 1)/256
pixels of the disparity map's p >= 2; beyond --max-depth it is invalid. --depth disparity: pixels
of the written width; sky is 0 and valid. Then dataset.yaml says `quantity: disparity, unit: px`,
and a stored value v is (v - 1)/256 px, 0 invalid, so that 1 is the sky's 0 px; with the camera
files, fx and baseline say which depth that is. Kendall et al.'s "Tiny Cityscapes", 128x256, is
--depth disparity --scale 0.125. Instance ids of the eight thing classes go to instance/.
train and val are the official ones; the test split has no labels and comes with --with-test only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import add_output_arguments

LABEL_KINDS = {'ids': 'labelIds', 'trainids': 'labelTrainIds'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('--root', required=True, type=Path, metavar='DIR',
                        help='the folder that holds leftImg8bit, gtFine, disparity and camera')
    parser.add_argument('--depth', choices=('metric', 'disparity', 'none'), default='metric',
                        help='what depth/ holds (default: %(default)s)')
    parser.add_argument('--max-depth', type=float, default=80.0, metavar='M',
                        help='metric depth from here on is invalid, m; of disparities, where '
                        'there are cameras, the largest depth that a network says '
                        '(default: %(default)s)')
    parser.add_argument('--labels', choices=tuple(LABEL_KINDS), default='ids',
                        help='read *_labelIds.png and map them to the 19 classes, or '
                        '*_labelTrainIds.png as they are (default: %(default)s)')
    parser.add_argument('--scale', type=float, default=1.0, metavar='SHARE',
                        help='of width and height, such as 0.5 (default: %(default)s)')
    parser.add_argument('--with-test', action='store_true',
                        help='the images of the test split too, which have no labels')
    add_output_arguments(parser)
