# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The options that every converter has."""

from __future__ import annotations

import argparse
from pathlib import Path

IMAGE_FORMATS = ('png', 'jpg')
JPEG_QUALITY = 95


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every converter has."""
    parser.add_argument('--out', required=True, type=Path, metavar='DIR',
                        help='the data set folder to write; it must be empty or not exist')
    parser.add_argument('--image-format', choices=IMAGE_FORMATS, default='png',
                        help=f'png is lossless, jpg (quality {JPEG_QUALITY}) takes a third of the '
                        'space (default: %(default)s)')
    parser.add_argument('--force', action='store_true',
                        help='write into a folder that is not empty: same names are overwritten, '
                        'nothing else is removed')
    parser.add_argument('--no-progress', action='store_true', help='no progress bar')
