# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Find what is wrong with a data set folder before a training does.

Reads every image, label, depth and instance map that a split names. Prints one line for each
fault (file: what) and a table of what there is; exit code 1 if there is a fault. A note is none.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('folder', type=Path, metavar='DIR', help='a data set folder')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
