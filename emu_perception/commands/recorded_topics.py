# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which of the node's topics a recording of ``emu_run`` has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from emu_perception.errors import InputError
from emu_perception.promises.holding import unpromised
from emu_perception.topics import POINTS, Topic, TOPICS, topics_of

ALL, INPUT, LABEL_INFO = 'all', 'input', 'label_info'
NAMES = (ALL, INPUT, LABEL_INFO, *(topic.name for topic in TOPICS.values() if not topic.planner))


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
    def of(cls, names: Collection[str], tasks: Collection[str], *, hinted: bool,
           promises: Collection[str] = ()) -> RecordedTopics:
        """
        Return the choice of some names; of none, all but points, promises and names of classes.

        Points are the largest by far, and what they are made of is recorded: ``depth/image``,
        ``depth/camera_info``, ``label`` and the colours.

        :param names: of ``NAMES``.
        :param tasks: of the network.
        :param hinted: whether a depth camera or the ground tells the scale.
        :param promises: names of the promised maps that the checkpoint has constants of.
        :raises InputError: if a topic is named that there cannot be.
        """
        there = topics_of(tasks, hinted=hinted, promises=promises)
        named = 'segmentation' in tasks
        if ALL in names:
            return cls(there, label_info=named)
        if not names:
            return cls(tuple(topic for topic in there
                             if topic.kind != POINTS and not topic.promised))
        have = {INPUT, *(topic.name for topic in there), *((LABEL_INFO,) if named else ())}
        for name in names:
            if name not in have:
                raise InputError(f'--topics {name}: ' + _missing(TOPICS.get(name), tasks, hinted,
                                                                 promises))
        return cls(tuple(topic for topic in there if topic.name in names), INPUT in names,
                   LABEL_INFO in names)

    @property
    def promised(self) -> tuple[str, ...]:
        """Return the names of the promised maps among them."""
        return tuple(topic.row.name for topic in self.maps if topic.row and topic.promised)


def _missing(topic: Topic | None, tasks: Collection[str], hinted: bool,
             promises: Collection[str]) -> str:
    """Return why there is no such topic."""
    if topic is not None and topic.promised and topic.row is not None and topic.task in tasks:
        if topic.row.name not in promises:
            return unpromised(topic.row)
        return ('there is none with --depth-hint or --camera-height: the promise is of the '
                "network's own depth")
    needs_hint = topic is not None and topic.hinted and not hinted
    return (f'there is none of a network of the tasks {", ".join(tasks)}'
            + (' without --depth-hint or --camera-height' if needs_hint else ''))
