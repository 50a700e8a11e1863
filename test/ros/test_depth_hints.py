# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Each image gets its own hint, in time or not at all, and nothing is waited for in vain."""

from __future__ import annotations

import threading
import time

from emu_perception.ros.depth_hints import DepthHints
import pytest
from sensor_msgs.msg import Image

SECOND = 10**9
SLOP_S = 0.015


def hint(stamp_ns: int) -> Image:
    """Return a message of this stamp."""
    message = Image()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, SECOND)
    return message


@pytest.fixture
def hints() -> DepthHints:
    """Return hints of which none has come."""
    return DepthHints('/depth_hint')


def take(hints: DepthHints, stamp_ns: int, wait_s: float = 0.0) -> Image | None:
    """Ask for the hint of an image."""
    hints.expect(stamp_ns, SLOP_S)
    return hints.take(time.monotonic() + wait_s)


def counted(hints: DepthHints) -> dict[str, int]:
    """Return the counts that are not 0."""
    return {cause: count for cause, count in hints.counts.items() if count}


def test_the_hint_of_an_images_stamp_is_its_own_and_used_once(hints):
    for stamp in (1, 2, 3):
        hints.update(hint(stamp * SECOND))
    assert take(hints, 2 * SECOND) == hint(2 * SECOND)
    assert take(hints, 2 * SECOND) is None and counted(hints) == {'missing': 1}
    assert '1.000 s newer' in hints.problem
    assert take(hints, 3 * SECOND) == hint(3 * SECOND) and not hints.problem


def test_the_nearest_within_the_slop_is_taken(hints):
    for off_ms in (-14, 3, 12):
        hints.update(hint(SECOND + off_ms * 10**6))
    assert take(hints, SECOND) == hint(SECOND + 3 * 10**6)
    assert take(hints, 2 * SECOND + 16 * 10**6) is None


def test_a_hint_that_comes_while_it_is_waited_for_is_taken(hints):
    hints.expect(SECOND, SLOP_S)
    thread = threading.Timer(0.05, hints.update, (hint(SECOND),))
    thread.start()
    # Much longer than it takes: who waits is woken by the hint and not by the end.
    assert hints.take(time.monotonic() + 20.0) == hint(SECOND)
    thread.join()


def test_a_hint_is_kept_however_long_the_network_takes(hints):
    hints.update(hint(SECOND))
    hints.expect(SECOND, SLOP_S)
    for later in range(2, 100):
        hints.update(hint(later * SECOND))
    assert hints.take(time.monotonic()) == hint(SECOND)


def test_nothing_is_waited_for_once_a_later_hint_is_there(hints):
    hints.update(hint(3 * SECOND))
    # An hour would end the test by its time limit.
    assert take(hints, 2 * SECOND, wait_s=3600.0) is None


def test_one_of_another_run_is_no_later_one(hints):
    """A single stamp of a clock that was wrong once would end all waiting for good."""
    hints.update(hint(3600 * SECOND))
    hints.expect(2 * SECOND, SLOP_S)
    thread = threading.Timer(0.05, hints.update, (hint(2 * SECOND),))
    thread.start()
    assert hints.take(time.monotonic() + 20.0) == hint(2 * SECOND)
    thread.join()


def test_a_late_hint_and_a_repeated_one_are_counted_and_thrown_away(hints):
    assert take(hints, SECOND) is None and 'nothing has come' in hints.problem
    hints.update(hint(SECOND))
    assert counted(hints) == {'missing': 1, 'late': 1}
    hints.update(hint(2 * SECOND))
    hints.update(hint(2 * SECOND))
    assert counted(hints) == {'missing': 1, 'late': 1, 'repeated': 1}
    assert take(hints, 2 * SECOND) is not None
    hints.update(hint(2 * SECOND))
    assert counted(hints)['repeated'] == 2
    assert take(hints, SECOND) is None


def test_a_new_activation_knows_no_old_stamp(hints):
    hints.update(hint(SECOND))
    hints.begin()
    assert take(hints, SECOND) is None
    hints.update(hint(2 * SECOND))
    assert take(hints, 2 * SECOND) is not None
