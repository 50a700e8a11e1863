# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``~/mask``: where the classes of ``mask_classes`` are, as nvblox takes it."""

from __future__ import annotations

from emu_perception.planning.classes import members
from emu_perception.ros.image_messages import to_published_image
from emu_perception.ros.planner.source import NotAskedForError, PlannerSource
import numpy as np
from sensor_msgs.msg import Image


def build(source: PlannerSource) -> Image | bytes | None:
    """
    Return 255 where a pixel is of the classes and 0 elsewhere, unlabelled pixels too.

    None where there are no labels.

    :raises NotAskedForError: where no class is named; a mask of nothing says that nothing moves.
    """
    label = source.shown.prediction.label
    if not source.settings.mask_classes:
        raise NotAskedForError('name the classes in mask_classes')
    if label is None:
        return None
    inside = members(source.classes, source.settings.mask_classes, 'mask_classes')
    return to_published_image((inside * np.uint8(255))[label], 'mono8', source.header)
