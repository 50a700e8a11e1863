# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which metres may go out: with the gate on, only those of an image that is itself believed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from emu_perception.outputs import EPISTEMIC
from emu_perception.risk import RiskState

POINTS, DEPTH = 'points', 'depth'
GATES = (POINTS, DEPTH)


def gate_of(topic: str, task: str | None) -> str | None:
    """
    Return the gate that a map topic goes through, or None where it holds no metres.

    :param topic: below the node's name, as 'depth/image' or 'points'.
    :param task: that the topic needs.
    """
    if task not in ('depth', EPISTEMIC['depth']):
        return None
    return POINTS if topic.split('/')[0] in (POINTS, 'scan') else DEPTH


@dataclass(frozen=True)
class Gate:
    """
    Lets the metres of one image pass, or withholds them: no message is safer than a wrong one.

    :ivar closing: which gates there are, of ``GATES``; the others are always open.
    :ivar image: what the image by itself was found to be, whatever ``raise_after`` made of it.
    :ivar raised: asks whether the flag is up at this moment.
    """

    closing: Collection[str]
    image: RiskState
    raised: Callable[[], bool]

    def passes(self, gate: str | None, promised: bool = False) -> bool:
        """
        Tell whether a topic behind this gate may be published now.

        :param promised: of a promised map, for which there is always a gate: what raises the flag
            is what a promise does not hold for.
        """
        if gate not in self.closing and not promised:
            return True
        return self.image.certain and not self.raised()
