# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Let the rare classes of a trained network speak up, at no cost on the robot.

python -m training.balance --checkpoint FILE --data DIR [--tau 0.2] --out FILE

Cross entropy on rooms in which a quarter of all pixels is wall teaches to say "wall" when in
doubt. Post-hoc logit adjustment (Menon et al. 2021, arXiv 2007.07314, equation 9) takes a part of
the classes' prior p(y), their share of the training pixels, back out of what the network says:

    z_y <- z_y - tau log p(y), which makes p(y|x) what it would be under a prior p(y)^(1 - tau)

It is a constant of each class, so that the bias of the last layer takes it: the maps remain the
maps of one softmax, in every backend. tau = 1 weighs all classes alike; a small one trades little
pixel accuracy for mIoU. The network is to be calibrated and evaluated anew.
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('balance', __doc__)
    parser.add_argument('--checkpoint', type=Path, required=True, metavar='FILE')
    parser.add_argument('--data', required=True, metavar='DIR',
                        help='the data set folder that it was trained on')
    parser.add_argument('--tau', type=float, default=0.2,
                        help="part of the classes' prior that is taken out; default 0.2")
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    return parser
