# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Image files as a camera, with the calibration that lies beside them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import logging
import os
from pathlib import Path
import re

import cv2
from emu_perception.cameras import jpeg_bytes, png_bytes, tiff_bytes, webp_bytes
from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.calibration_files import find_calibration, read_calibration
from emu_perception.cameras.image_decoding import decoded
from emu_perception.cameras.source import FILE_TOPIC, FRAME_ID, InputImage
from emu_perception.errors import InputError
from emu_perception.foreign_files import is_litter
from emu_perception.recordings.messages import Header
import numpy as np

LOGGER = logging.getLogger('emu_perception')
IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
# Pictures that phones and the web make, and that this OpenCV need not read.
_OTHER_SUFFIXES = ('.heic', '.heif', '.avif', '.gif', '.dng')
_REMEDY = 'save HEIC, AVIF, GIF and DNG as JPEG or PNG'
_STAMPS_END_NS = 2**31 * 10**9


class ImageFiles:
    """
    Image files in the order they are given.

    Names of 19 digits are stamps in nanoseconds, as ``training.prepare bag`` writes them. The
    calibration is that of ``<stem>.yaml`` beside the image, else of the folder's dataset.yaml.

    :raises InputError: if that dataset.yaml cannot be used.
    """

    live = False
    loss = ''
    image_topic = FILE_TOPIC

    def __init__(self, paths: list[Path], rate_hz: float) -> None:
        self.paths, self.rate_hz = paths, rate_hz
        self.total: int | None = len(paths)
        self.stamped = all(_is_stamp(path.stem) for path in paths)
        if self.stamped and len(paths) > 1:
            span_s = (int(paths[-1].stem) - int(paths[0].stem)) / 1e9
            self.rate_hz = (len(paths) - 1) / span_s if span_s else rate_hz
        self._info = find_calibration(paths[0].parent)

    def images(self) -> Iterator[InputImage]:
        """Yield the images in order."""
        for index, path in enumerate(self.paths):
            stamp_ns = int(path.stem) if self.stamped else round(index / self.rate_hz * 1e9)
            info, problem = self._info_of(path)
            # Of a name that is no UTF-8 what can be written into a table and a message.
            name = os.fsencode(path.name).decode(errors='replace')
            yield InputImage(name, Header(stamp_ns, FRAME_ID), partial(read_image, path), info,
                             problem, encoded=partial(_encoded, path),
                             orientation=partial(_orientation, path))

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _info_of(self, path: Path) -> tuple[CameraInfo | None, str]:
        beside = path.with_suffix('.yaml')
        try:
            return read_calibration(beside) if beside.is_file() else self._info, ''
        except InputError as error:
            return None, str(error)


def image_paths(folder: Path) -> list[Path]:
    """
    Return the images of a folder, or of image/ in it (a data set), numbers counted as numbers.

    Pictures of other formats beside them are left out, which is said.

    :raises InputError: if there is none.
    """
    others: list[Path] = []
    for place in (folder, folder / 'image'):
        files = [path for path in place.glob('*')
                 if path.is_file() and not is_litter(path.name)]
        paths = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
        others += (unread := [path for path in files if remedy_of(path)])
        if paths:
            if unread:
                LOGGER.warning('%s: pictures of another format are left out (%d, one is %s): %s',
                               place, len(unread), min(unread).name, _REMEDY)
            return sorted(paths, key=_natural)
    raise InputError(f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)}), no folder image/ '
                     'with some, and no metadata.yaml of a ROS 2 bag'
                     + (f'; {min(others).name} is of another format: {_REMEDY}' if others else ''))


def remedy_of(path: Path) -> str:
    """Return what to do with a picture whose format is not read; '' for all other files."""
    return _REMEDY if path.suffix.lower() in _OTHER_SUFFIXES else ''


def read_image(path: Path) -> np.ndarray:
    """
    Read an image file as rgb8, upright; grey and 16-bit images are converted.

    :raises InputError: if it is no image, or is cut off.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f'cannot be read ({error.strerror})') from error
    return rgb_of(data)


def rgb_of(data: bytes) -> np.ndarray:
    """
    Decode the bytes of an image file as :func:`read_image`.

    :raises InputError: as there.
    """
    return cv2.cvtColor(decoded(data, cv2.IMREAD_COLOR, f'file of {len(data)} bytes'),
                        cv2.COLOR_BGR2RGB)


def orientation_of(data: bytes) -> int:
    """Return the orientation that :func:`rgb_of` turns an image file by, 1 for upright."""
    if data.startswith(png_bytes.START):
        return png_bytes.orientation_of(data)
    if data.startswith(webp_bytes.START):
        return webp_bytes.orientation_of(data)
    if data.startswith(tiff_bytes.STARTS):
        return tiff_bytes.orientation_of(data)
    return jpeg_bytes.orientation_of(data)


def _is_stamp(stem: str) -> bool:
    """Tell whether a name is nanoseconds that a message can have: its seconds have 31 bits."""
    return bool(re.fullmatch('[0-9]{19}', stem)) and int(stem) < _STAMPS_END_NS


def _orientation(path: Path) -> int:
    return orientation_of(path.read_bytes())


def _encoded(path: Path) -> tuple[bytes, str] | None:
    data = path.read_bytes()
    # Viewers ignore an EXIF orientation, which read_image does not; a PNG has it at its end too.
    if b'Exif\0\0' in data[:1 << 16] or orientation_of(data) != 1:
        return None
    for start, name in ((b'\xff\xd8', 'jpeg'), (b'\x89PNG', 'png')):
        if data.startswith(start):
            return data, f'rgb8; {name} compressed bgr8'
    return None


def _natural(path: Path) -> list[tuple[int, str]]:
    # Every other part is digits; not all that str.isdigit takes for one is a number.
    return [(int(part), '') if index % 2 else (-1, part)
            for index, part in enumerate(re.split(r'(\d+)', path.name))]
