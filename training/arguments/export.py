# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Make a checkpoint ready to ship: metrics inside, weights in float16, a model card beside it.

python -m training.export --checkpoint runs/NAME/best.safetensors --metrics val.json
    --out models/NAME.safetensors
"""

from __future__ import annotations

from pathlib import Path

from emu_perception.commands.program import CommandParser

from .parsers import command_parser


def parser() -> CommandParser:
    """Return the parser of the command's line."""
    parser = command_parser('export', __doc__)
    parser.add_argument('--checkpoint', required=True, type=Path, metavar='FILE',
                        help='what to ship')
    parser.add_argument('--metrics', required=True, type=Path, metavar='FILE',
                        help='JSON that emu evaluate wrote for this very file, or its twin')
    parser.add_argument('--out', required=True, type=Path, metavar='FILE',
                        help='the file to write; its card goes beside it')
    parser.add_argument('--name', help='default: the name of --out')
    parser.add_argument('--fp32', action='store_true', help='keep weights in float32')
    parser.add_argument('--command', default='', help='the training command, for the card; '
                        'default: the one that the checkpoint was made by')
    return parser
