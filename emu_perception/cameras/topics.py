# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the names of a camera's topics and frames say (image_transport's and image_proc's)."""

from __future__ import annotations

from dataclasses import dataclass
import re

# Whether images are rectified here: where their topic's name does not say that they are, always,
# never.
RECTIFY = AUTO, ALWAYS, NEVER = 'auto', 'always', 'never'
# What image_transport and its plugins append to an image's name.
_TRANSPORTS = ('compressed', 'compressedDepth', 'draco', 'ffmpeg', 'foxglove', 'theora', 'zstd')
_NEGATIONS = ('non', 'not', 'un')
_SHOWN = 60  # Letters of a frame.


@dataclass(frozen=True)
class Reading:
    """
    What an image is taken for, by its topic's name and by what the user says of it.

    :ivar rectified: whether for rectified already: its camera is P, and it stays as it is.
    :ivar rectify: whether it is to be rectified, where its lens distorts.
    :ivar in_doubt: whether the name says both (:func:`in_doubt`) and the user does not decide; or
        decides by ``NEVER``, which leaves open what is left as it is.
    """

    rectified: bool
    rectify: bool
    in_doubt: bool = False


def reading(mode: str, topic: str) -> Reading:
    """
    Return what an image is taken for.

    :param mode: one of ``RECTIFY``; of a name in doubt 'always' says that the image is raw,
        'never' that it is rectified.
    :param topic: '' for an image that has none.
    """
    doubt = in_doubt(topic) and mode != ALWAYS
    rectified = looks_rectified(topic) or doubt and mode == NEVER
    return Reading(rectified, rectifies(mode, rectified) and not doubt, doubt)


def looks_rectified(topic: str) -> bool:
    """Tell by the last part of its name whether an image topic is rectified."""
    return says_rectified(topic) is True


def says_rectified(topic: str) -> bool | None:
    """
    Return what the last part of an image topic's name says of it; None: nothing.

    By image_pipeline's convention it is this part that counts (``image_rect``,
    ``image_rect_color``). By whole words: ``image_direct`` and ``image_corrected`` hold the
    letters of rect and say nothing of a lens. A transport's own name, the very last part, is none
    of the image's.
    """
    parts = _parts(topic)
    return _said(parts[-1]) if parts else None


def in_doubt(topic: str) -> bool:
    """
    Tell whether a folder of an image topic's name says rectified, and its last part does not.

    ``/camera/rect/image`` is rectified by one driver's habit (ZED's since version 5) and raw by
    the convention; ``/rect/image_raw`` may be the input of an image_proc that runs in a namespace
    rect, or its output under the name that a consumer asks for. The name does not tell, and where
    camera_info has distortion neither may D: beside image_rect it lies by convention too. Taken
    for raw, a rectified image is bent a second time; taken for rectified, a raw one stays bent and
    gets P's focal length. Either way metres are wrong towards the edges by as much as the lens
    distorts, labels lie beside what they name, and nothing in the picture shows it. So neither
    is guessed: such an image has no camera, hence no metres, and the flag says why, until
    ``rectify`` decides. Without distortion, and with one camera in K and P, both readings are one,
    and nobody is asked.
    """
    return says_rectified(topic) is not True and any(
        _said(part) is True for part in _parts(topic)[:-1])


def _parts(topic: str) -> list[str]:
    return [part for part in topic.split('/') if part and part not in _TRANSPORTS]


def _said(part: str) -> bool | None:
    """Return what one part of a name says: rectified, not rectified, nothing (None)."""
    words = _words(part)
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


def quoted_frame(frame: str) -> str:
    """Return a frame_id in quotes for a message, not all of one that is odd."""
    return repr(frame[:_SHOWN])


def apart_from_image(given: str, image: str) -> str:
    """Return in words that a message is of another frame than its image; '' where it is not."""
    return (f'is of frame {quoted_frame(given)}, the image of {quoted_frame(image)}'
            if other_frame(given, image) else '')


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
