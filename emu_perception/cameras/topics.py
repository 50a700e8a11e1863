# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of a camera's topics say (image_transport's and image_proc's naming)."""

from __future__ import annotations


def looks_rectified(topic: str) -> bool:
    """Tell by the last part of its name whether an image topic is rectified."""
    parts = [part for part in topic.split('/') if part not in ('', 'compressed')]
    return bool(parts) and 'rect' in parts[-1] and 'unrect' not in parts[-1]


def beside(image_topic: str) -> str:
    """Return the camera_info topic of an image topic: /a/camera_info of /a/image_raw."""
    return image_topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'
