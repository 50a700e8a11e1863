# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""No message of a camera ends the node, none is lost uncounted, and the next good one is fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from live_bad_inputs import rows
from live_node import Live
import pytest


@pytest.fixture(scope='module')
def live(ros: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return the one node that gets all of it."""
    node = Live(tmp_path_factory.mktemp('model'))
    yield node
    node.close()


@pytest.mark.parametrize('send', [
    pytest.param(send, id=name.replace('\n', ' ')) for name, _, send in rows()])
def test_odd_input_is_counted_and_diagnosed_and_the_next_image_processed(
        live: Live, send: Callable[[Live], str]) -> None:
    """As :mod:`live_messages` and :mod:`live_scenes` say."""
    send(live)
