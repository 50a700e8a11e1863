# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What ``emu_run`` reads: a sequence of images, wherever they come from, and which of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from emu_perception.recordings.messages import Header
from emu_perception.recordings.reader import Record
import numpy as np


@dataclass(frozen=True)
class InputImage:
    """
    One image, not read yet.

    :ivar name: what the CSV calls it: file name, number of the frame, or stamp.
    :ivar read: returns rgb uint8 HxWx3, or raises InputError; valid until the next image.
    :ivar info: camera_info that goes with it, or None.
    :ivar rectified: whether it is the info of a rectified image.
    :ivar record: its message, where it comes from a bag.
    :ivar encoded: returns (file's bytes, format) that can go into a CompressedImage as they are,
        or None where they cannot.
    :ivar gap_s: the longest time between two neighbours since the image before, set by
        :func:`selected`.
    """

    name: str
    header: Header
    read: Callable[[], np.ndarray]
    info: Any = None
    rectified: bool = True
    record: Record | None = None
    encoded: Callable[[], tuple[bytes, str] | None] = lambda: None
    gap_s: float = 0.0


class Source(Protocol):
    """
    A sequence of images.

    :ivar rate_hz: images a second.
    :ivar total: how many there are, as far as known before reading.
    :ivar stamped: whether the stamps are of the camera, and not made up from ``rate_hz``.
    :ivar image_topic: what the topic of the image is called in a recording of the results.
    """

    rate_hz: float
    total: int | None
    stamped: bool
    image_topic: str

    def images(self) -> Iterator[InputImage]:
        """Yield the images in order."""

    def close(self) -> None:
        """Free the file."""


@dataclass(frozen=True)
class Selection:
    """
    Which images of a source.

    :ivar every: the first of each so many.
    :ivar start_s: seconds after the first image of the source.
    :ivar end_s: likewise; this moment is left out. None: to the end.
    """

    every: int = 1
    start_s: float = 0.0
    end_s: float | None = None

    def expected(self, source: Source) -> int | None:
        """Return how many images that will be, or None where the source does not know."""
        count = source.total
        if count is None and self.end_s is None:
            return None
        if self.end_s is not None:
            last = round(self.end_s * source.rate_hz)
            count = last if count is None else min(count, last)
        count = max(0, (count or 0) - round(self.start_s * source.rate_hz))
        return -(-count // self.every)


def selected(source: Source, selection: Selection) -> Iterator[InputImage]:
    """Yield the images of the selection; the others are not decoded."""
    first_ns = before_ns = None
    gap_s, index = 0.0, 0
    for image in source.images():
        stamp_ns = image.header.stamp_ns
        first_ns = stamp_ns if first_ns is None else first_ns
        after_s = (stamp_ns - first_ns) / 1e9
        if before_ns is not None and source.stamped:
            # Of a left-out image it matters that it was there: the camera was alive.
            gap_s = max(gap_s, (stamp_ns - before_ns) / 1e9)
        if selection.end_s is not None and after_s >= selection.end_s:
            return
        # Without a start everything counts, even from before the first image: clocks jump back.
        if not selection.start_s or after_s >= selection.start_s:
            if index % selection.every == 0:
                yield replace(image, gap_s=gap_s if index else 0.0)
                gap_s = 0.0
            index += 1
        before_ns = stamp_ns
