# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the node's topics a recording of ``emu_run`` has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from emu_perception.errors import InputError
from emu_perception.topics import POINTS, Topic, TOPICS, topics_of

ALL, INPUT, LABEL_INFO = 'all', 'input', 'label_info'
# None of a promised map: which of them there are the checkpoint says, and Python gives them.
NAMES = (ALL, INPUT, LABEL_INFO, *(topic.name for topic in TOPICS.values()
                                   if not (topic.planner or topic.promised)))


@dataclass(frozen=True)
class RecordedTopics:
    """
    The choice; flag and scores, a few bytes, are recorded whatever it is.

    :ivar maps: in the order in which they are written.
    :ivar input: whether image and camera_info of the input are.
    :ivar label_info: whether the names of the classes are.
    """

    maps: tuple[Topic, ...]
    input: bool = True
    label_info: bool = False

    @classmethod
    def of(cls, names: Collection[str], tasks: Collection[str], *, hinted: bool
           ) -> RecordedTopics:
        """
        Return the choice of some names; of none, all but points and names of classes.

        Points are the largest by far, and what they are made of is recorded: ``depth/image``,
        ``depth/camera_info``, ``label`` and the colours.

        :param names: of ``NAMES``.
        :param tasks: of the network.
        :param hinted: whether a depth camera is joined in.
        :raises InputError: if a topic is named that there cannot be.
        """
        there = topics_of(tasks, hinted=hinted)
        named = 'segmentation' in tasks
        if ALL in names:
            return cls(there, label_info=named)
        if not names:
            return cls(tuple(topic for topic in there if topic.kind != POINTS))
        have = {INPUT, *(topic.name for topic in there), *((LABEL_INFO,) if named else ())}
        for name in names:
            if name not in have:
                hint = TOPICS.get(name)
                raise InputError(
                    f'--topics {name}: there is none of a network of the tasks '
                    f'{", ".join(tasks)}' + ('' if hint is None or not hint.hinted or hinted
                                             else ' without --depth-hint'))
        return cls(tuple(topic for topic in there if topic.name in names), INPUT in names,
                   LABEL_INFO in names)
