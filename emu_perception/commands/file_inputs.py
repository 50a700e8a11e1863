# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Image files and videos as the input of ``emu_run``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import logging
from pathlib import Path
import re

import cv2
from emu_perception.commands.inputs import InputImage
from emu_perception.errors import InputError
from emu_perception.image_decoding import check_complete
from emu_perception.recordings.calibration_files import find_calibration
from emu_perception.recordings.messages import Header
import numpy as np

LOGGER = logging.getLogger('emu_perception')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
FRAME_ID = 'camera_optical_frame'
_TOPIC = '/camera/image/compressed'


class ImageFiles:
    """
    Image files in the order of their names, numbers counted as numbers.

    Names of 19 digits are stamps in nanoseconds, as ``training.prepare bag`` writes them.
    """

    image_topic = _TOPIC

    def __init__(self, paths: list[Path], rate_hz: float) -> None:
        self.paths, self.rate_hz = paths, rate_hz
        self.total: int | None = len(paths)
        self.stamped = all(re.fullmatch(r'\d{19}', path.stem) for path in paths)
        if self.stamped and len(paths) > 1:
            span_s = (int(paths[-1].stem) - int(paths[0].stem)) / 1e9
            self.rate_hz = (len(paths) - 1) / span_s if span_s else rate_hz
        self._info = find_calibration(paths[0].parent)

    def images(self) -> Iterator[InputImage]:
        """Yield the images in order."""
        for index, path in enumerate(self.paths):
            stamp_ns = int(path.stem) if self.stamped else round(index / self.rate_hz * 1e9)
            yield InputImage(path.name, Header(stamp_ns, FRAME_ID), partial(read_image, path),
                             self._info, encoded=partial(_encoded, path))

    def close(self) -> None:
        """Do nothing: no file stays open."""


class Video:
    """A video file, through OpenCV."""

    image_topic = _TOPIC
    stamped = True

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise InputError(f'{path}: cannot be opened: not a video that this OpenCV can decode, '
                             f'nor {", ".join(IMAGE_SUFFIXES)}, .mcap or .db3')
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate if 0.1 <= rate <= 1000 else rate_hz
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.total: int | None = count if count > 0 else None

    def images(self) -> Iterator[InputImage]:
        """Yield the frames in order, named by their numbers from 0."""
        index, before_ns = 0, -1
        while self._capture.grab():
            stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if stamp_ns <= before_ns:  # Some containers do not tell.
                stamp_ns = before_ns + round(1e9 / self.rate_hz) if index else 0
            yield InputImage(f'{index:06d}', Header(stamp_ns, FRAME_ID), self._frame)
            index, before_ns = index + 1, stamp_ns
        if self.total is not None and index < self.total:
            LOGGER.warning('%s: ended after %d of %d frames: cut off or damaged', self._path,
                           index, self.total)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _frame(self) -> np.ndarray:
        good, bgr = self._capture.retrieve()
        if not good:
            raise InputError('the frame cannot be decoded')
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def image_paths(folder: Path) -> list[Path]:
    """
    Return the images of a folder, or of image/ in it (a data set).

    :raises InputError: if there is none.
    """
    for place in (folder, folder / 'image'):
        paths = [path for path in place.glob('*') if path.suffix.lower() in IMAGE_SUFFIXES
                 and path.is_file()]
        if paths:
            return sorted(paths, key=_natural)
    raise InputError(f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}), no folder image/ '
                     'with some, and no metadata.yaml of a ROS 2 bag')


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file as rgb8, upright; grey and 16-bit images are converted.

    :raises InputError: if it is no image, or is cut off.
    """
    try:
        data = path.read_bytes()
        check_complete(data)
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        raise InputError(f'cannot be read ({error.strerror})') from error
    except cv2.error:  # Sizes beyond OpenCV's own limits.
        bgr = None
    if bgr is None:
        raise InputError('is no image that OpenCV can decode')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _encoded(path: Path) -> tuple[bytes, str] | None:
    data = path.read_bytes()
    # Viewers ignore an EXIF orientation, which read_image does not.
    if b'Exif\0\0' in data[:1 << 16] or b'eXIf' in data[:1 << 16]:
        return None
    for start, name in ((b'\xff\xd8', 'jpeg'), (b'\x89PNG', 'png')):
        if data.startswith(start):
            return data, f'rgb8; {name} compressed bgr8'
    return None


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', path.name)]
