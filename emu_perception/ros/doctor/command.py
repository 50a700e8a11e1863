# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Look over what the node needs: each line is ok, a warning or a fault with its remedy.

emu doctor [--model FILE] [--device cpu] [--json]

What may crash (NumPy, OpenCV, torch, cv_bridge, the middleware) is tried in processes of their
own. The exit code is 1 where there is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
import json
import logging
import sys

from emu_perception.commands.program import CommandParser, logging_from
from emu_perception.ros.doctor import machine, middleware, model
from emu_perception.ros.doctor.finding import FAULT, Finding, LEVELS

_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Return 1 where a fault was found, else 0."""
    parser = CommandParser('emu doctor', __doc__)
    parser.add_argument('--model', default='', metavar='FILE',
                        help='checkpoint; default: the one of the package')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--no-benchmark', action='store_true', help='leave the second of it out')
    parser.add_argument('--json', action='store_true', help='one document, for programs')
    options = parser.parse_args(arguments)
    found = []
    with logging_from(logging.CRITICAL):  # What the package logs is in the lines.
        for finding in findings(options.model, options.device,
                                0.0 if options.no_benchmark else _SECONDS):
            found.append(finding)
            if not options.json:
                print(finding, flush=True)
    worst = max((LEVELS.index(finding.level) for finding in found), default=0)
    if options.json:
        print(json.dumps({'level': LEVELS[worst], 'findings': [*map(asdict, found)]}, indent=2))
    else:
        counts = [sum(finding.level == level for finding in found) for level in LEVELS]
        print(f'faults: {counts[2]}, warnings: {counts[1]}, ok: {counts[0]}')
    return int(LEVELS[worst] == FAULT)


def findings(file: str, device: str, seconds: float) -> Iterator[Finding]:
    """Yield all there is to say; a network is asked only where torch works."""
    works = True
    for finding in machine.findings():
        works = works and not (finding.name in ('numpy', 'opencv', 'torch')
                               and finding.level == FAULT)
        yield finding
    yield from middleware.findings()
    if works:
        yield from model.findings(file, device, seconds)


if __name__ == '__main__':
    sys.exit(main())
