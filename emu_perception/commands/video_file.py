# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The MP4 of ``emu_run``: H.264 where OpenCV has an encoder of it, else MPEG-4."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
import subprocess
import sys
import tempfile

import cv2
from emu_perception.errors import EmuError
import numpy as np

# The better first: browsers show H.264 alone, every OpenCV of PyPI writes MPEG-4.
CODECS = {'avc1': 'H.264', 'mp4v': 'MPEG-4'}
# Written and read again, in a process of its own: an encoder that is not there, or whose device is
# not, says so in lines that nobody can turn off.
_TRIED = """
import sys, cv2, numpy
path, codec = sys.argv[1:]
writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*codec), 10.0, (64, 48))
for grey in (0, 128):
    writer.write(numpy.full((48, 64, 3), grey, numpy.uint8))
writer.release()
read, image = cv2.VideoCapture(path).read()
sys.exit(0 if read and image.shape == (48, 64, 3) else 1)
"""
_SECONDS = 60.0


class VideoError(EmuError):
    """A video that cannot be written."""


@lru_cache(maxsize=1)
def best_codec() -> str:
    """Return the first of ``CODECS`` that can be written here; the last is not tried."""
    *better, last = CODECS
    for codec in better:
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = subprocess.run(
                    [sys.executable, '-c', _TRIED, str(Path(folder, 'a.mp4')), codec],
                    capture_output=True, timeout=_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                continue
        if done.returncode == 0:
            return codec
    return last


class VideoFile:
    """
    An MP4 of pictures, opened with the first.

    :ivar frames: so many have been written.
    :ivar codec: in words; '' before the first.
    """

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._path, self._rate_hz = path, rate_hz
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self.frames, self.codec = 0, ''

    def add(self, bgr: np.ndarray) -> None:
        """
        Write a picture, fitted to the size of the first.

        :raises VideoError: if it cannot be written.
        """
        if self._writer is None:
            # The encoder needs even sides.
            self._size = (bgr.shape[1] // 2 * 2, bgr.shape[0] // 2 * 2)
            codec = best_codec()
            # By its older name, which OpenCV 4.5 of a robot has too.
            code = cv2.VideoWriter_fourcc(*codec)  # type: ignore[attr-defined]
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate_hz, self._size)
            if not self._writer.isOpened():
                raise VideoError(f'{self._path}: this OpenCV cannot write MP4 ({codec}): give '
                                 '--no-video')
            self.codec = CODECS[codec]
        self._writer.write(_fitted(bgr, self._size))
        self.frames += 1

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


def _fitted(bgr: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a panel at the video's size: shrunk where it does not fit, never stretched."""
    width, height = size
    scale = min(1.0, width / bgr.shape[1], height / bgr.shape[0])
    if scale < 1.0 and (bgr.shape[1] - width, bgr.shape[0] - height) > (1, 1):
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((height, width, 3), np.uint8)
    rows, columns = min(height, bgr.shape[0]), min(width, bgr.shape[1])
    canvas[:rows, :columns] = bgr[:rows, :columns]
    return canvas
