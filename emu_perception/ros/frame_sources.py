# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Where a replay camera's images come from: a folder, one file, a video, a webcam. No ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import re
from typing import Protocol

import cv2
from emu_perception.errors import InputError
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')


@dataclass(frozen=True)
class Frame:
    """
    One attempt to read an image.

    :ivar name: file name, or number of the frame in a video.
    :ivar image: rgb8 HxWx3, or None where it could not be read.
    :ivar path: the image's own file; None for video and webcam.
    """

    name: str
    image: np.ndarray | None
    path: Path | None = None


class FrameSource(Protocol):
    """A sequence of frames; ``rate_hz`` is its own rate, 0 where it has none."""

    rate_hz: float
    live: bool

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end."""

    def rewind(self) -> None:
        """Start over."""

    def close(self) -> None:
        """Free the file or device."""


class ImageFiles:
    """Image files in a given order."""

    rate_hz = 0.0
    live = False

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self._next = 0

    def read(self) -> Frame | None:
        """Return the next file's image; ``image`` is None for a file that is no image."""
        if self._next >= len(self.paths):
            return None
        path = self.paths[self._next]
        self._next += 1
        return Frame(path.name, read_rgb(path), path)

    def rewind(self) -> None:
        """Start over with the first file."""
        self._next = 0

    def close(self) -> None:
        """Do nothing: no file stays open."""


class Capture:
    """A video file or a webcam, through OpenCV."""

    def __init__(self, source: str | int, *, live: bool) -> None:
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise InputError(f'source {source}: OpenCV cannot open it as a '
                             f'{"camera" if live else "video"}')
        self.live = live
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate if 0.1 <= rate <= 1000 else 0.0
        self._count = 0

    def read(self) -> Frame | None:
        """Return the next frame; a camera that gives none now has a frame without image."""
        good, bgr = self._capture.read()
        if not good and not self.live:
            return None
        self._count += 1
        image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if good else None
        return Frame(f'{self._count:06d}', image)

    def rewind(self) -> None:
        """Start a video over; a camera has no beginning."""
        if not self.live:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._count = 0

    def close(self) -> None:
        """Close the file or device."""
        self._capture.release()


def read_rgb(path: Path) -> np.ndarray | None:
    """Read an image file as rgb8 (grey and 16-bit images converted); None if it is no image."""
    try:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # Sizes beyond OpenCV's own limits.
        return None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def open_source(source: str) -> FrameSource:
    """
    Open what ``source`` names: a folder (or data set root), image, video, '0' or '/dev/videoN'.

    :raises InputError: one line, if there is nothing to read.
    """
    if not source:
        raise InputError('source is empty: give a folder of images, an image, a video, or a '
                         "camera ('0', '/dev/video0')")
    if re.fullmatch(r'\d+', source) and not Path(source).exists():
        return Capture(int(source), live=True)
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f'source {source} does not exist')
    if path.is_dir():
        return ImageFiles(_folder(path))
    if path.is_char_device():
        return Capture(str(path), live=True)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFiles([path])
    return Capture(str(path), live=False)


def _folder(path: Path) -> list[Path]:
    for folder in (path, path / 'image'):
        files = sorted(file for file in folder.glob('*') if file.suffix.lower() in IMAGE_SUFFIXES
                       and file.is_file())
        if files:
            return files
    raise InputError(f'source {path} holds no {", ".join(IMAGE_SUFFIXES)} image, nor does its '
                     'image folder')
