# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the speed of training steps and of ensembles, against the published layout.

python -m training.benchmark --recipe paper [--what step,distill]
                             [--teachers 10] [--rounds 10] [--json OUT] [field=value ...]

A step is forward, loss, backward and optimiser on a synthetic batch; ``distill`` has a teacher of
--teachers networks beside it. Ensembles (--what ensemble,sub_ensemble,mc_dropout,head_dropout)
answer one image: uint8 to the moments of --teachers samples at full size. Both layouts have the
same weights, in turn, in one process; medians. No data set is needed.
"""

from __future__ import annotations

from pathlib import Path

from .parsers import MixedParser, named

# training.speed's own names, said again: it would bring torch. A test holds them together.
WHAT = ('step', 'distill', 'ensemble', 'sub_ensemble', 'mc_dropout', 'head_dropout')


def parser() -> MixedParser:
    """Return the parser of the command's line."""
    parser = MixedParser(*named('benchmark', __doc__))
    parser.add_argument('--recipe', required=True, metavar='FILE', help='YAML, for the network, '
                        'the batch, the optimiser and the precision')
    parser.add_argument('--what', default='step,distill', metavar='A,B',
                        help=f'of {", ".join(WHAT)}; default %(default)s')
    parser.add_argument('--teachers', type=int, default=10,
                        help='networks, or samples; default 10')
    parser.add_argument('--classes', type=int, default=40, help='default 40')
    parser.add_argument('--rounds', type=int, default=10, help='measured; default 10')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--threads', type=int, help='of the CPU; default: all cores')
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the figures here')
    parser.add_argument('overrides', nargs='*', metavar='field=value',
                        help='for example batch_size=4 network.encoder=mit_b0')
    return parser
