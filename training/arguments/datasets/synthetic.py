# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Synthetic scenes with labels, instances and depth that are known, for tests and small studies.

Boxes, balls and cones on a plain before a wall, with poles that split them and the sky above
(training/data/synthetic_scenes.py). The same seed gives the same folder. Four fifths are train,
the rest val. Depth is metric; the class `sky` stands for an inverse depth of 0.
"""

from __future__ import annotations

import argparse

from .output import add_output_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('--images', type=int, default=400, help='in all (default: %(default)s)')
    parser.add_argument('--size', default='64x128', metavar='HxW',
                        help='height and width (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    add_output_arguments(parser)
