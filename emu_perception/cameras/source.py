# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A sequence of images of a camera, wherever they come from, each with its calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from emu_perception.cameras.calibration import CameraInfo
from emu_perception.recordings.messages import Header
from emu_perception.recordings.reader import Record
import numpy as np

FRAME_ID = 'camera_optical_frame'  # Of what does not say it.
FILE_TOPIC = '/camera/image/compressed'
_ON_ITS_SIDE = range(5, 9)  # EXIF orientations that make columns of rows.


@dataclass(frozen=True)
class InputImage:
    """
    One image, not read yet.

    :ivar name: file name, number of the frame, or stamp.
    :ivar read: returns rgb uint8 HxWx3, or raises InputError; valid until the next image.
    :ivar info: the calibration that goes with it, or None.
    :ivar info_problem: why a calibration that is there cannot be read; one line, '' where it can.
    :ivar info_missing: where a calibration was looked for and none is; one line, or ''.
    :ivar rectified: whether it is the calibration of a rectified image.
    :ivar topic: of the image, where it comes from a bag; its name says whether it is rectified
        already (:func:`~.topics.reading`).
    :ivar record: its message, where it comes from a bag.
    :ivar encoded: returns (file's bytes, format) that can go into a CompressedImage as they are,
        or None where they cannot.
    :ivar orientation: returns the EXIF orientation that ``read`` turns it upright by, 1 for none;
        maps of the same name are not turned.
    :ivar gap_s: the longest time between two neighbours since the image before, where only some
        of a source's images are taken.
    """

    name: str
    header: Header
    read: Callable[[], np.ndarray]
    info: CameraInfo | None = None
    info_problem: str = ''
    info_missing: str = ''
    rectified: bool = True
    topic: str = ''
    record: Record | None = None
    encoded: Callable[[], tuple[bytes, str] | None] = lambda: None
    orientation: Callable[[], int] = lambda: 1
    gap_s: float = 0.0

    def apart_from(self, info: CameraInfo, width: int, height: int) -> str:
        """
        Return in one line why a calibration is not of what ``read`` gives; '' else.

        One that has the size of the turned image alone is of that.

        :param width, height: of what ``read`` gives, pixels.
        """
        turned = self.orientation()
        if turned == 1 or (turned in _ON_ITS_SIDE and width != height
                           and (info.width, info.height) == (width, height)):
            return ''
        return (f'EXIF orientation {turned} turns the image, and its calibration not: have its '
                'pixels turned for good, and calibrate so, or the mark removed')

    @property
    def apart_from_maps(self) -> str:
        """Return in one line why maps of its name are not of what ``read`` gives; '' else."""
        turned = self.orientation()
        return '' if turned == 1 else (
            f'{self.name}: EXIF orientation {turned} turns it, and its maps not: have its pixels '
            'turned for good, or the mark removed')


class Source(Protocol):
    """
    A sequence of images.

    :ivar rate_hz: images a second.
    :ivar total: how many there are, as far as known before reading.
    :ivar stamped: whether the stamps are of the camera, and not made up from ``rate_hz``.
    :ivar live: whether it is a camera: it has no beginning, and an end only where it fails.
    :ivar image_topic: what the topic of the image is called in a recording of the results.
    """

    rate_hz: float
    total: int | None
    stamped: bool
    live: bool
    image_topic: str

    @property
    def loss(self) -> str:
        """Return what of it cannot be read, one line; '' as long as nothing is missing."""

    def images(self) -> Iterator[InputImage]:
        """Yield the images in order; called again, from the beginning."""

    def close(self) -> None:
        """Free the file or device."""
