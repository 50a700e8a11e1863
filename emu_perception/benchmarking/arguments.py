# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure speed, end to end: uint8 image in host memory to all maps in host memory.

emu_benchmark [--checkpoint F | --encoder mit_b2 --head-dim 768] [--size 480x640]
              [--against reference,reference_openvino,unfolded,unjudged,eager] [--json OUT]

One process, the same weights and image, interleaved, medians. Resizing, normalising, upsampling,
entropy, confidence, variance and all copies are in every figure. ``unjudged`` is ours without the
fitted scores: what the flag costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from emu_perception.commands.program import CommandParser

# In the published layout; the compiled one is the reference at its best on a CPU.
PUBLISHED = ('reference', 'reference_openvino', 'unfolded')
CLASSES, HEAD_DIM = 40, 256  # Of --encoder.
# Of emu_perception.precisions, said again: it would bring torch. A test holds them together.
PRECISIONS = ('fp32', 'bf16', 'fp16')


class BenchmarkParser(CommandParser):
    """With ``--node`` all other words are the node's benchmark's, which reads them itself."""

    def options(self, arguments: list[str] | None) -> argparse.Namespace:
        """Return the options; ends the process on what makes no sense, and after help."""
        words = sys.argv[1:] if arguments is None else arguments
        return argparse.Namespace(node=True) if '--node' in words else super().options(words)


def parser() -> BenchmarkParser:
    """Return the parser of the command's line."""
    parser = BenchmarkParser('emu_benchmark', __doc__)
    add = parser.add_argument
    add('--checkpoint', type=Path, metavar='FILE', help="default: the package's model")
    add('--encoder', help='random weights on this timm encoder, in place of a checkpoint')
    add('--head-dim', type=int, help=(
        f'with --encoder; default {HEAD_DIM}; 768 for MiT-B2 and above'))
    add('--classes', type=int, help=f'with --encoder; default {CLASSES}')
    add('--size', metavar='HxW', help="of the network; default: the checkpoint's")
    add('--image', metavar='HxW', help="of the image; default: the network's")
    add('--device', default='auto')
    add('--backend', default='auto', help="of 'ours'")
    add('--precision', default='fp32', choices=PRECISIONS)
    add('--against', default='unfolded', metavar='A,B',
        help=f'of {", ".join(PUBLISHED)}, unjudged, and the backends by name; "" for none; '
        '%(default)s')
    add('--rounds', type=int, default=30)
    add('--threads', type=int, help='of the CPU; default: all cores')
    add('--json', type=Path, metavar='OUT')
    add('--no-memory', action='store_true', help='do not measure memory')
    add('--no-progress', action='store_true')
    add('--node', action='store_true', help=(
        f'measure the running ROS 2 node instead; see {parser.prog} --node --help'))
    add('--only', help=argparse.SUPPRESS)
    return parser
