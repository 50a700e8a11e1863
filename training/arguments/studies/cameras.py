# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what labels, metres and intervals are worth through other lenses and on other sensors.

python -m training.studies.cameras --checkpoint F --data DIR [--split val] [--json OUT]

Every image of a split, without its frame, as seventeen simulated cameras give it, each with its
true focal length (``training.studies.camera_views``). The factor is the median of true depth /
depth over an image: what is wrong with all its metres at once, and what a depth camera would mend.
Intervals are of whole runs of frames drawn again. Real other cameras differ in more than this.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    return measuring_parser('studies.cameras', __doc__)
