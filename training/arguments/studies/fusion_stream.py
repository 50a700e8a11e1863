# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Ask what each way to metres is worth on a robot, and what the calibration watch is.

python -m training.studies.fusion_stream --checkpoint F --data DIR [--json OUT] [--seeds 5]
    [--walks 60] [--limit N]

The images of a split in their order, each with what a stereo depth camera would see of it: nothing
beyond 4 m, on windows, mirrors, screens, what is dark, grazing or beside an edge, and in a patch
that is another each time; noise that grows with the distance. The ways: colour alone, and with
the depth camera joined in as the node does it, before a camera that the network does not know (its
metres times 1.41, as before a D435) and before the one it was trained on, which is what
fine-tuning makes of a camera. Then walks through the rooms in changing order, with other holes
each time and one pixel in twenty wrong: how often the watch is raised though nothing is, and how
soon once the network is off by a factor.
"""

from __future__ import annotations

from emu_perception.commands.program import CommandParser

from ..parsers import measuring_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = measuring_parser('studies.fusion_stream', __doc__, 'data set folder with depth')
    parser.add_argument('--seeds', type=int, default=5, help='of holes and noise; default 5')
    parser.add_argument('--walks', type=int, default=60, help='of each kind; default 60')
    return parser
