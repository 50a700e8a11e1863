# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What of a topic's messages says that two cameras send there, and what may be one's own."""

from __future__ import annotations

from emu_perception.cameras.one_camera import APART_S, kind_of, OneCamera
import pytest

SMALL, LARGE = kind_of(64, 48, 'rgb8'), kind_of(80, 40, 'rgb8')


def doubted(kinds: list[str], period_s: float = 0.1) -> list[bool]:
    """Return of messages of these kinds, one after another, which are doubted."""
    one, found = OneCamera(), []
    for index, kind in enumerate(kinds):
        one.note(index * period_s, 'eye', kind)
        found.append(bool(one.doubt(index * period_s)))
    return found


def test_sizes_that_come_in_turn_are_two_cameras_and_a_camera_set_otherwise_is_one():
    assert doubted([SMALL, LARGE] * 4) == [False] * 5 + [True] * 3
    assert not any(doubted([SMALL] * 3 + [LARGE] * 3 + [SMALL] * 3 + [LARGE] * 3))
    assert not any(doubted([SMALL, LARGE] * 10, period_s=4.0))


def test_what_is_damaged_on_its_way_is_no_second_camera():
    kinds = [kind for index in range(9) for kind in (SMALL, kind_of(64, 48 + index, 'rgb8'))]
    assert not any(doubted(kinds[2:]))


def test_sizes_in_turn_end_some_seconds_after_the_last_change():
    one = OneCamera()
    for index in range(8):
        one.note(0.1 * index, 'eye', (SMALL, LARGE)[index % 2])
    assert 'images of 64x48 rgb8 and of 80x40 rgb8 come in turn' in one.doubt(0.7)
    one.note(5.8, 'eye', LARGE)
    assert not one.doubt(5.8)


@pytest.mark.parametrize('frame, other_sender, words', [
    ('right', False, "an image is of frame 'right', the one before of 'left'"),
    ('left', True, 'an image is of another publisher than the one before'),
    ('', True, 'an image is of another publisher than the one before')])
def test_one_sign_of_another_camera_is_doubted_for_a_while(frame, other_sender, words):
    one = OneCamera()
    one.note(0.0, 'left', SMALL)
    assert not one.doubt(0.0)
    one.note(1.0, frame, SMALL, other_sender=other_sender)
    assert one.doubt(1.0).startswith(words) and one.doubt(1.0 + APART_S)
    assert not one.doubt(1.1 + APART_S)


def test_an_encoding_is_quoted_whatever_bytes_it_is_of():
    assert kind_of(1, 2, 'a\nb') == "1x2 'a\\nb'" and len(kind_of(1, 2, 'x' * 10**6)) < 100
