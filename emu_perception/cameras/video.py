# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A video file or a connected camera, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import time

import cv2
from emu_perception.cameras.image_files import IMAGE_SUFFIXES, remedy_of
from emu_perception.cameras.source import FILE_TOPIC, FRAME_ID, InputImage
from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
import numpy as np

LOGGER = logging.getLogger('emu_perception')


class Video:
    """
    A video file; its frames are named by their numbers from 0.

    :raises InputError: if it cannot be opened.
    """

    live = False
    loss = ''
    stamped = True
    image_topic = FILE_TOPIC

    def __init__(self, path: Path, rate_hz: float) -> None:
        self._path = path
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise InputError(f'{path}: its name is no UTF-8, which OpenCV needs of a video: '
                             'rename it') from error
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            remedy = remedy_of(path)
            raise InputError(f'{path}: cannot be opened: not a video that this OpenCV can decode, '
                             f'nor {", ".join(IMAGE_SUFFIXES)}, .mcap or .db3'
                             f'{remedy and "; "}{remedy}')
        self._at_start = True
        self.rate_hz = _rate_hz(self._capture, rate_hz)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.total: int | None = count if count > 0 else None

    def images(self) -> Iterator[InputImage]:
        """Yield the frames in order."""
        if not self._at_start:  # To seek is not exact in every container.
            self._capture.open(str(self._path))
        self._at_start = False
        index, before_ns = 0, -1
        while self._capture.grab():
            stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            if stamp_ns <= before_ns:  # Some containers do not tell.
                stamp_ns = before_ns + round(1e9 / self.rate_hz) if index else 0
            yield InputImage(f'{index:06d}', Header(stamp_ns, FRAME_ID), self._frame)
            index, before_ns = index + 1, stamp_ns
        if self.total is not None and index < self.total:
            # No loss: of some containers the number is an estimate.
            LOGGER.warning('%s: ended after %d of %d frames: cut off or damaged', self._path,
                           index, self.total)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _frame(self) -> np.ndarray:
        return _retrieved(self._capture)


class Device:
    """
    A connected camera, stamped by this machine's clock; its images are numbered from 0.

    :param device: its number, or its path as /dev/video0.
    :raises InputError: if it cannot be opened.
    """

    live = True
    loss = ''
    stamped = True
    total: int | None = None
    image_topic = FILE_TOPIC

    def __init__(self, device: int | str, rate_hz: float) -> None:
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            raise InputError(f'{device}: OpenCV cannot open it as a camera: is it '
                             'connected, and does no other program use it?')
        self.rate_hz = _rate_hz(self._capture, rate_hz)
        self._count = 0

    def images(self) -> Iterator[InputImage]:
        """Yield what the camera sees, until it gives nothing; called again, it is asked again."""
        while self._capture.grab():
            header = Header(time.time_ns(), FRAME_ID)
            yield InputImage(f'{self._count:06d}', header, self._frame)
            self._count += 1

    def close(self) -> None:
        """Free the device."""
        self._capture.release()

    def _frame(self) -> np.ndarray:
        return _retrieved(self._capture)


def _rate_hz(capture: cv2.VideoCapture, otherwise: float) -> float:
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0.1 <= rate <= 1000 else otherwise


def _retrieved(capture: cv2.VideoCapture) -> np.ndarray:
    good, bgr = capture.retrieve()
    if not good:
        raise InputError('the frame cannot be decoded')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
