# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The names of what a label image holds, as ``vision_msgs/LabelInfo`` has them."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception.prediction import UNLABELLED

# The message's own word for the largest id of an image of bytes.
_NAME = 'UNLABELED'


def unlabelled_name(classes: Sequence[str]) -> str:
    """Return the name of pixels without a label, which is no class's: readers go by the name."""
    name = _NAME
    while name in classes:
        name += '_'
    return name


def label_names(classes: Sequence[str]) -> list[tuple[int, str]]:
    """
    Return id and name of all that a label image may hold.

    255 has a name too: a reader that passes over ids without one (Nav2's semantic layer does)
    would take what stands where nothing is sure for nothing.
    """
    return [*enumerate(classes), (UNLABELLED, unlabelled_name(classes))]
