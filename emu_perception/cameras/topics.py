# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of a camera's topics and frames say (image_transport's and image_proc's)."""

from __future__ import annotations

import re

# Whether images are rectified here: where their topic's name does not say that they are, always,
# never.
RECTIFY = AUTO, ALWAYS, NEVER = 'auto', 'always', 'never'
# What image_transport and its plugins append to an image's name.
_TRANSPORTS = ('compressed', 'compressedDepth', 'draco', 'ffmpeg', 'foxglove', 'theora', 'zstd')
_NEGATIONS = ('non', 'not', 'un')


def looks_rectified(topic: str) -> bool:
    """Tell by the last part of its name whether an image topic is rectified."""
    return says_rectified(topic) is True


def says_rectified(topic: str) -> bool | None:
    """
    Return what the last part of an image topic's name says of it; None: nothing.

    By whole words: ``image_direct`` and ``image_corrected`` hold the letters of rect and say
    nothing of a lens. A transport's own name, the very last part, is none of the image's.
    """
    parts = [part for part in topic.split('/') if part and part not in _TRANSPORTS]
    words = _words(parts[-1]) if parts else []
    if any(word.startswith('unrect') for word in words) or any(
            before in _NEGATIONS and word.startswith('rect')
            for before, word in zip(words, words[1:])):
        return False
    if any(word.startswith('rect') and not word.startswith('rectang') for word in words):
        return True
    return False if 'raw' in words else None


def _words(name: str) -> list[str]:
    """Return the words of image_rect_color, or of imageRectColor, in lower case."""
    return [word.lower() for word in re.findall(r'[A-Z]?[a-z]+|[A-Z]+', name)]


def other_frame(given: str, image: str) -> bool:
    """Tell whether two frame_ids name different frames; an empty one names none."""
    return bool(given and image) and given.lstrip('/') != image.lstrip('/')


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
