# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
NYU Depth v2, the 1449 labelled images (nyu_depth_v2_labeled.mat), as a data set folder.

Needs nyu_depth_v2_labeled.mat (from NYU's page of the data set) and three small files: splits.mat
(the official split), classMapping40.mat (Gupta et al., 894 labels as 40 classes) and, for 13
classes, class13Mapping.mat. github.com/VainF/nyuv2-python-toolkit has all three.
test.txt is the official test split. train.txt is the official training split less val.txt, a part
split off by room, so that no room is on both sides. Stems are the images' numbers, from 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import add_output_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('--mat', required=True, type=Path, metavar='FILE',
                        help='nyu_depth_v2_labeled.mat')
    parser.add_argument('--splits', required=True, type=Path, metavar='FILE', help='splits.mat')
    parser.add_argument('--mapping', required=True, type=Path, metavar='FILE',
                        help='classMapping40.mat: the 894 labels as 40 classes')
    parser.add_argument('--classes', type=int, choices=(40, 13), default=40,
                        help='how many classes (default: %(default)s)')
    parser.add_argument('--mapping13', type=Path, metavar='FILE',
                        help='class13Mapping.mat: the 40 as 13, for --classes 13')
    parser.add_argument('--raw-depth', action='store_true',
                        help='depth as measured, with holes, instead of in-filled')
    part = parser.add_mutually_exclusive_group()
    part.add_argument('--val-share', type=float, default=0.1, metavar='SHARE',
                      help='of the official training images, by room (default: %(default)s)')
    part.add_argument('--val-from', type=Path, metavar='FILE',
                      help='a file of stems (0044 0045 ...) that are the validation part')
    parser.add_argument('--seed', type=int, default=0, help='of the choice of rooms')
    add_output_arguments(parser)
