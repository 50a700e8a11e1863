# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of a camera's topics say (image_transport's and image_proc's naming)."""

from __future__ import annotations

# Whether images are rectified here: where their topic's name does not say that they are, always,
# never.
RECTIFY = AUTO, ALWAYS, NEVER = 'auto', 'always', 'never'


def looks_rectified(topic: str) -> bool:
    """Tell by the last part of its name whether an image topic is rectified."""
    parts = [part for part in topic.split('/') if part not in ('', 'compressed')]
    return bool(parts) and 'rect' in parts[-1] and 'unrect' not in parts[-1]


def beside(image_topic: str) -> str:
    """Return the camera_info topic of an image topic: /a/camera_info of /a/image_raw."""
    return image_topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'


def rectifies(mode: str, rectified: bool) -> bool:
    """
    Tell whether an image is to be rectified, where its lens distorts.

    :param mode: one of ``RECTIFY``.
    :param rectified: whether its topic says that it is already; camera_info beside it has the
        lens's D all the same.
    """
    return mode == ALWAYS or mode == AUTO and not rectified
