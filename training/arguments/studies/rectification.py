# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what a lens costs whose distortion is taken out before the network, and what it costs if not.

python -m training.studies.rectification --checkpoint F --data DIR [--json OUT] [--limit N]

Each picture of a split is taken once more by lenses of known models (plumb_bob, rational
polynomial, equidistant, also with all coefficients 0), rectified as the node rectifies it, and
judged against the same truth as the picture itself. Then the lens's image is taken as it is:
how far points lie from where they are, with K alone.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    return measuring_parser('studies.rectification', __doc__)
