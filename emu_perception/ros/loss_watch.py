# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How many images are lost between a camera and the node, what to say of it, what helps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

WINDOW_S = 10.0
# Fewer is what a busy machine's queue of one overwrites now and then.
_SHARE = 0.1
_LEAST = 5
# Of Fast DDS's default shared-memory segment: larger messages do not fit as a whole.
SEGMENT_BYTES = 512 * 1024


class LossCounter:
    """
    Counts the images between a camera and the node's callback that nobody saw.

    The middleware numbers what a publisher sends. A best-effort message that got lost on its way
    and one that a newer one replaced in the queue of one both leave a gap. (The event
    ``message_lost`` tells of the first kind alone.)
    """

    def __init__(self) -> None:
        """
        Start without a number.

        :ivar lost: since the start; None where the middleware does not number its messages.
        """
        self.lost: int | None = None
        self._last: int | None = None

    def begin(self) -> None:
        """Forget the last number: what came while nobody listened is no loss."""
        self._last = None

    def note(self, info: Mapping[str, Any], several_publishers: Callable[[], bool]) -> bool:
        """
        Take a message's information.

        :param several_publishers: asked at a gap: the numbers of two cameras on one topic
            interleave and mean nothing.
        :return: whether it is of another publisher than the one before, and both are there. The
            numbers of one publisher rise: one that does not is another's. A publisher that was
            started again is alone, unless it was killed: then it seems to be there for some time,
            but the number is lower only once.
        """
        number, last = info.get('publication_sequence_number'), self._last
        if number is None:
            return False
        self._last = number
        self.lost = self.lost or 0
        if last is None or number == last + 1:
            return False
        several = several_publishers()
        if number > last and not several:
            self.lost += number - last - 1
        return several and number <= last


class LossWatch:
    """
    Follows the count of lost images over the last seconds; for the executor's thread.

    Times are of the steady clock, in seconds.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._seen: deque[tuple[float, int, int]] = deque()

    def begin(self) -> None:
        """Forget what was: another activation."""
        self._seen.clear()

    def note(self, now_s: float, received: int, lost: int | None) -> None:
        """Take in the counts since the start; ``lost`` is None where nobody knows."""
        if lost is None:
            return
        self._seen.append((now_s, received, lost))
        while now_s - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()

    def problem(self, topic: str, image_bytes: int, rmw: str) -> str:
        """
        Return one line if more than a tenth of the images is lost, else ''.

        :param image_bytes: of the last image's pixels.
        :param rmw: the middleware's name, as ``rmw_fastrtps_cpp``.
        """
        if not self._seen:
            return ''
        received = self._seen[-1][1] - self._seen[0][1]
        lost = self._seen[-1][2] - self._seen[0][2]
        if lost < _LEAST or lost < _SHARE * (received + lost):
            return ''
        text = (f'{lost} of the last {received + lost} images on {topic} '
                f'({image_bytes / 1e6:.2g} MB each) were lost before this node')
        reliable = f'qos_overrides.{topic}.subscription.reliability: reliable'
        if 'fastrtps' not in rmw:
            return f'{text}: docs/robot.md, Images that get lost, says what helps with {rmw}'
        if image_bytes <= SEGMENT_BYTES:
            return f'{text}: the machine or the network is too busy'
        return (f'{text}: images above 0.5 MB are lost in the middleware unless the camera '
                "driver's process too uses the profile config/fastdds.xml of this package "
                f'(docs/robot.md, Images that get lost), or set the parameter {reliable}')
