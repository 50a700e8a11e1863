# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which of a source's images ``emu_run`` takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from emu_perception.cameras.source import InputImage, Source


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
