# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the topics for planners are made of, and when they are rather not made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from emu_perception.cameras.camera import Camera
from emu_perception.planning.ground_pixels import ground_pixels
from emu_perception.planning.mounting import Mounting
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.mounted import mounting_of
from emu_perception.shown import Shown
import numpy as np
from std_msgs.msg import Header


class WithheldError(Exception):
    """A message that would mislead: too much of it is not known. One line says why."""


class NotAskedForError(Exception):
    """A topic that there is not, by the parameters or the checkpoint. One line says why."""


@dataclass(frozen=True)
class PlannerSource:
    """
    One image's maps, as they are shown, with all that decides what becomes of them.

    :ivar depth: float32 HxW, metres, less ``points_sigma_margin``; None: no task of the network's.
    :ivar camera: at the pixels of the maps; None: not known, and then there are no metres.
    :ivar classes: of the checkpoint.
    :ivar depth_max: where the network's range ends, metres.
    """

    header: Header
    shown: Shown
    depth: np.ndarray | None
    camera: Camera | None
    classes: Sequence[str]
    depth_max: float
    settings: Settings

    def metres(self) -> tuple[np.ndarray, Camera]:
        """Return depth and camera of an image that has both, which the publisher has seen to."""
        assert self.depth is not None and self.camera is not None
        return self.depth, self.camera

    def measured(self) -> np.ndarray:
        """Return the depth of an image that has one, without ``points_sigma_margin``."""
        depth = self.shown.given('depth')
        assert depth is not None
        return depth

    @property
    def mounting(self) -> Mounting | None:
        """Return where the camera is on the robot; None: the parameters do not say."""
        return mounting_of(self.settings)

    @cached_property
    def ground(self) -> np.ndarray:
        """
        Return which pixels are ground, bool HxW: all else is an obstacle.

        Of a class of ``ground_classes``, as sure as ``ground_min_confidence`` and, where the
        mounting of the camera is known, as high as the ground: a wall that is labelled floor is
        none. By the depth as it is measured; ``points_sigma_margin`` moves even good ground
        upwards along its rays.
        """
        settings = self.settings
        named = ground_pixels(self.shown.prediction, self.classes, settings.ground_classes,
                              settings.ground_min_confidence)
        mounting = self.mounting
        if mounting is None or not named.any():
            return named
        _, camera = self.metres()
        return named & mounting.near_ground(self.measured(), camera.rays()[1],
                                            self.settings.ground_max_height_m)

    def check_filtered(self, lost: float) -> None:
        """
        Refuse a map of too little.

        :param lost: share of the pixels whose depth or label is not known or not believed.
        :raises WithheldError: if that is above ``max_filtered_share``.
        """
        limit = self.settings.max_filtered_share
        if not lost <= limit:
            raise WithheldError(f'depth or label of {lost:.0%} of the pixels is not known or not '
                                f'believed (max_filtered_share is {limit:g})')

    def check_known(self, unknown: float, where: str = '') -> None:
        """
        Refuse what has too little depth: what is left out looks like free space.

        :param unknown: share of the pixels.
        :param where: they are, as 'in one direction '.
        :raises WithheldError: if that is above ``max_unknown_share``.
        """
        limit = self.settings.max_unknown_share
        if not unknown <= limit:
            raise WithheldError(f'{where}the depth of {unknown:.0%} of the pixels is not known '
                                f'(max_unknown_share is {limit:g})')

    def check_unknown(self) -> None:
        """Refuse an image of whose pixels too many have no depth, or all, whatever the limit."""
        depth, _ = self.metres()
        unknown = float(np.isnan(depth).mean())
        if unknown == 1.0:
            raise WithheldError('the depth of no pixel is known')
        self.check_known(unknown)
