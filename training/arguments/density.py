# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask how a network's depths err, and have the checkpoint say it.

The two channels of a depth head may be read as mean and variance of a Gaussian (``linear``) or as
median and variance of a log-normal (``median``; ``emu_perception/networks/depth_forms.py``). The
maps are the same: it is the likelihood and the intervals that ``emu evaluate`` measures, and how a
later ``emu calibrate`` fits sigma. Both are measured on a split; ``--out`` writes the checkpoint
that says the likelier, or the one that ``--as`` names. Calibration and thresholds stay.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import measuring_parser

READINGS = ('linear', 'median')


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('density', __doc__)
    parser.add_argument('--as', dest='reading', choices=READINGS,
                        help='what --out is to say; default: the likelier of both')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the checkpoint here')
    return parser
