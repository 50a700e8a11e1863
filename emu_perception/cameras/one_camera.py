# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether all that comes on a topic of images is of one camera: node and recordings ask alike.

Of two cameras on one topic what the one shows would lower the flag for the other, and metres would
be the one's or the other's as it comes. Solid are frame_ids that change, sizes or encodings that
come in turn, and, where the middleware tells it, two publishers whose messages come in between
each other's. That a topic has two publishers is not: the second may be silent, or have been killed
just now. Nor are pictures that change to and fro (``two_views``): an emitter may switch.
"""

from __future__ import annotations

from typing import Any

from emu_perception.cameras.image_decoding import told_size
from emu_perception.cameras.topics import other_frame, quoted_frame
from emu_perception.cameras.turns import Turns

# After a sign of another camera nothing is believed for so long. A driver that is started anew, or
# a second one that takes over, gives such a sign once.
APART_S = 5.0
# A camera that is set otherwise comes back to what it was, but hardly twice.
_RETURNS = 2
_SHOWN = 40  # Letters of an encoding.
_HEAD = 1 << 16  # Bytes of a file in which its size stands, but for odd ones.


class OneCamera:
    """
    Follows one topic; may be told by one thread and asked by another.

    :param what: comes on it, for people: 'image'.
    """

    def __init__(self, what: str = 'image') -> None:
        """Begin before the first message."""
        self._what = what
        self._frame_id = ''
        self._other = (float('-inf'), '')  # When there was a sign of another last, and which.
        self._kinds: Turns[str] = Turns()

    def note(self, now_s: float, frame_id: str, kind: str, *, other_sender: bool = False) -> None:
        """
        Note a message as it arrives.

        :param now_s: of the clock of :meth:`doubt`.
        :param kind: its size and encoding (:func:`kind_of`); '' where they are not known.
        :param other_sender: whether it is known to be of another publisher than the one before.
        """
        before = self._frame_id
        self._frame_id = frame_id or before
        if kind:
            self._kinds.add(now_s, kind)
        a = 'an' if self._what[0] in 'aeiou' else 'a'
        if other_frame(frame_id, before):
            self._other = (now_s, f'{a} {self._what} is of frame {quoted_frame(frame_id)}, the '
                           f'one before of {quoted_frame(before)}')
        elif other_sender:
            self._other = (now_s, f'{a} {self._what} is of another publisher than the one before, '
                           'and both are there')

    def doubt(self, now_s: float) -> str:
        """Return in one line why what came last may be of two cameras; '' where it is of one."""
        changed_s, sign = self._other
        if now_s - changed_s > APART_S:
            sign = self._in_turn(now_s)
        return sign and (f'{sign}: do two cameras send there? Give each a topic and a node of its '
                         'own')

    def _in_turn(self, now_s: float) -> str:
        kinds = self._kinds.kinds(now_s)
        # The second too: what is damaged on its way is of another kind each time.
        if len(kinds) < 2 or kinds[1][1] <= _RETURNS:
            return ''
        (one, _), (other, _) = kinds[:2]
        return f'{self._what}s of {one} and of {other} come in turn'


def kind_of(width: int, height: int, encoding: str) -> str:
    """Return size and encoding of an image message in words."""
    shown = encoding[:_SHOWN]
    return f'{width}x{height} {shown if shown.isprintable() else repr(shown)}'


def compressed_kind(data: Any) -> str:
    """Return the size of a compressed image message in words; '' where its head has none."""
    size = told_size(bytes(data[:_HEAD]))
    return f'{size[0]}x{size[1]}' if size else ''
