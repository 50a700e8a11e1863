# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""No message of a camera ends the node, none is lost uncounted, and the next good one is fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import re

from live_bad_inputs import FILE, row, rows
from live_node import Live
import pytest

TABLE = FILE.read_text().splitlines(keepends=True)


@pytest.fixture(scope='module')
def live(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return the one node that gets all of it."""
    node = Live(tmp_path_factory.mktemp('model'))
    yield node
    node.close()


def told(answer: str) -> str:
    """Return an answer without what another OpenCV words otherwise: quotations and sizes."""
    return re.sub(r'\d+', '#', re.sub('; ".*"', '', answer))


@pytest.mark.parametrize('name, sent, send', [
    pytest.param(*one, id=one[0].replace('\n', ' ')) for one in rows()])
def test_odd_input_is_counted_and_diagnosed_and_the_next_image_processed(
        live: Live, name: str, sent: str, send: Callable[[Live], str]) -> None:
    """As :mod:`live_messages` and :mod:`live_scenes` say, and as the table tells."""
    answer, begin = row(name, sent, send(live)), row(name, sent)[:-2]
    assert told(answer) in [told(line) for line in TABLE if line.startswith(begin)], (
        'run PYTHONPATH=. python test/ros/live_bad_inputs.py')


def test_table_tells_of_every_input_and_of_no_other() -> None:
    """A row a case, in their order."""
    lines = [line for line in TABLE if line.startswith('| ')][1:]
    assert len(lines) == len(rows())
    for line, (name, sent, _) in zip(lines, rows()):
        assert line.startswith(row(name, sent)[:-2]), line
    assert not any('NOT AS IT HAS TO BE' in line for line in lines)
