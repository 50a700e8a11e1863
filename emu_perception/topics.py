# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The topics of maps: of each row of the table of maps, and the few made of several of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from emu_perception.maps import MapRow, MAPS
from emu_perception.outputs import EPISTEMIC

IMAGE, CAMERA_INFO, POINTS, NUMBER = 'Image', 'CameraInfo', 'PointCloud2', 'Float32'
SCAN = 'LaserScan'
OVERLAY, SCALE_SIGMA = 'overlay', 'scale_sigma'


@dataclass(frozen=True)
class Topic:
    """
    A topic.

    :ivar name: below the node's name.
    :ivar kind: the name of its type in sensor_msgs, of ``NUMBER`` in std_msgs.
    :ivar task: the task a network needs for it; None: none of its own.
    :ivar row: the map that it is of; None: it is made of several.
    :ivar colored: whether it is the map's picture for people.
    :ivar hinted: whether it is there only where a depth camera or the ground tells the scale.
    :ivar planner: whether the node makes it for planners, by parameters; no recording has it.
    :ivar labelled: whether it needs labels besides its task.
    """

    name: str
    kind: str
    task: str | None
    row: MapRow | None = None
    colored: bool = False
    hinted: bool = False
    planner: bool = False
    labelled: bool = False

    @property
    def promised(self) -> bool:
        """Tell whether it is of a promised map, which goes out for believed images alone."""
        return self.row is not None and self.row.made is not None

    @property
    def in_metres(self) -> bool:
        """
        Tell whether it is withheld where the camera's focal length is not known.

        Metres then mean nothing, and a message of nothing but NaN would tell Nav2's collision
        monitor that the way is free.
        """
        return self.task in ('depth', EPISTEMIC['depth'])


# Cheap ones first, for the others wait for them: pictures and points come last.
TOPICS: dict[str, Topic] = {topic.name: topic for topic in (
    Topic(SCALE_SIGMA, NUMBER, 'depth', hinted=True),
    *(Topic(row.topic, IMAGE, row.task, row, hinted=row.hinted) for row in MAPS.values()),
    Topic('camera_info', CAMERA_INFO, None),
    Topic('depth/camera_info', CAMERA_INFO, 'depth'),
    Topic('mask', IMAGE, 'segmentation', planner=True),
    Topic('scan', SCAN, 'depth', planner=True),
    Topic('points/filtered', POINTS, 'depth', planner=True),
    Topic('points/ground', POINTS, 'depth', planner=True, labelled=True),
    Topic('points/obstacles', POINTS, 'depth', planner=True),
    Topic('points', POINTS, 'depth'),
    *(Topic(row.color_topic, IMAGE, row.task, row, colored=True)
      for row in MAPS.values() if row.color_topic),
    Topic(OVERLAY, IMAGE, None),
)}


def topics_of(tasks: Collection[str], *, hinted: bool = False, planner: bool = False,
              promises: Collection[str] = ()) -> tuple[Topic, ...]:
    """
    Return the topics that a network of these tasks has.

    :param hinted: with those of metres whose scale a depth camera or the ground tells.
    :param planner: with those that are made for planners.
    :param promises: names of the promised maps that the checkpoint has constants of. Hinted,
        none of depth: the promise is not of such depths.
    """
    return tuple(topic for topic in TOPICS.values()
                 if (topic.task is None or topic.task in tasks) and (hinted or not topic.hinted)
                 and (planner or not topic.planner)
                 and ('segmentation' in tasks or not topic.labelled)
                 and (topic.row is None or not topic.promised or topic.row.name in promises
                      and not (hinted and topic.in_metres)))
