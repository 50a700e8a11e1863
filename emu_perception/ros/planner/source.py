# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the topics for planners are made of, and when they are rather not made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.cameras.camera import Camera
from emu_perception.planning.classes import members
from emu_perception.ros.parameters import Settings
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

    def ground(self) -> np.ndarray:
        """
        Return which pixels are of a class of ``ground_classes``, bool HxW.

        Not those that are unlabelled, or less sure than ``ground_min_confidence``.
        """
        label, confidence = self.shown.prediction.label, self.shown.prediction.confidence
        if label is None:
            return np.zeros(self.shown.prediction.size, bool)
        found = np.asarray(
            members(self.classes, self.settings.ground_classes, 'ground_classes')[label])
        least = self.settings.ground_min_confidence
        if least > 0:
            # Written so that a confidence that is no number, or not there, is none.
            found &= np.False_ if confidence is None else confidence >= least
        return found

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
