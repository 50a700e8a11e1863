# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Everything a camera can get wrong, sent over DDS to a live node.

``PYTHONPATH=. python test/ros/live_bad_inputs.py`` sends all of it and writes what the node did to
``docs/bad_inputs.md``; ``test_live_bad_inputs.py`` holds the node to that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
import sys
import tempfile

from live_messages import Case, CASES
from live_node import Live
from live_scenes import SCENES, short
import numpy as np

LONGEST_DIAGNOSIS = 600
FILE = Path(__file__).resolve().parents[2] / 'docs/bad_inputs.md'
_HEAD = """\
# What a camera can get wrong, and what the node did
Written by `PYTHONPATH=. python test/ros/live_bad_inputs.py`, which sends each to a live node over
the middleware; the tests hold the node to it.

| case | what was sent | what the node did |
|---|---|---|
"""


def run_case(live: Live, case: Case) -> str:
    """Send one case, hold the node to it, and return in words what the node did."""
    live.read(case.transport)
    message = live.stamped(case.message())
    seen = live.give(message)
    # More than one only where best effort lost the first and it was sent again.
    assert seen.received >= 1 and seen.processed + seen.dropped == seen.received, seen
    if case.said:
        assert seen.processed == 0, f'{case.name} was processed'
        assert case.said in seen.error and '\n' not in seen.error, seen.error
        assert len(seen.error) < LONGEST_DIAGNOSIS, 'a diagnosis of any length'
        assert seen.risk_reason == 'unusable_input', seen
        assert case.said in seen.input_error, seen
        answer = f'dropped (unusable_input), risk raised; "{short(seen.error)}"'
    else:
        assert seen.dropped == 0, seen.error
        answer = 'processed'
        if case.rgb is not None:
            assert seen.picture is not None
            np.testing.assert_array_equal(seen.picture, case.rgb())
            answer += ", the network saw OpenCV's picture to the bit"
    live.good()
    return f'{answer}; next image processed, risk cleared'


def rows() -> list[tuple[str, str, Callable[[Live], str]]]:
    """Return what there is: name, what is sent in words, and what sends it."""
    messages = [(case.name, case.sent, partial(run_case, case=case)) for case in CASES]
    scenes = [(name, (scene.__doc__ or 'an image after each').rstrip('.'), scene)
              for name, scene in SCENES.items()]
    # The scenes are of raw images: before the node is told to read compressed ones.
    first = next(i for i, case in enumerate(CASES) if case.transport == 'compressed')
    return [*messages[:first], *scenes, *messages[first:]]


def row(*cells: str) -> str:
    """Return a line of the table."""
    texts = (cell.replace('|', '\\|').replace('\n', ' ') for cell in cells)
    return f'| {" | ".join(texts)} |\n'


def main() -> int:
    """Send everything and write the table; return 1 if anything was not as it has to be."""
    import rclpy
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    rclpy.init(domain_id=1 + os.getpid() % 100)
    failed, table = 0, _HEAD
    with tempfile.TemporaryDirectory() as folder:
        live = Live(Path(folder))
        try:
            for name, sent, send in rows():
                try:
                    answer = send(live)
                except AssertionError as error:
                    failed += 1
                    answer = f'**NOT AS IT HAS TO BE**: {short(str(error), 200)}'
                    print(f'{name}: {answer}', flush=True)
                table += row(name, sent, answer)
        finally:
            live.close()
            rclpy.try_shutdown()
    FILE.write_text(table)
    print(f'{len(rows())} cases, {failed} not as they have to be: see {FILE}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
