# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The newest calibrations of a camera, and which of them an image takes."""

from __future__ import annotations

from collections import deque

from emu_perception.cameras.calibration import CameraInfo


class InfoHistory:
    """
    Keeps the newest calibrations; may be filled by one thread and asked by another.

    An image takes the one of its own stamp, since the next one of a zooming camera may already
    be there when the image's turn comes; without such a one it takes the newest.
    """

    _KEPT = 16

    def __init__(self) -> None:
        self._infos: deque[tuple[int, CameraInfo]] = deque(maxlen=self._KEPT)

    def add(self, stamp_ns: int, info: CameraInfo) -> None:
        """Take a calibration with its header's stamp, nanoseconds."""
        self._infos.append((stamp_ns, info))

    def for_image(self, stamp_ns: int | None) -> CameraInfo | None:
        """Return the calibration of an image with this stamp, None where there is none at all."""
        infos = list(self._infos)
        newest = infos[-1][1] if infos else None
        return next((info for stamp, info in infos if stamp == stamp_ns), newest)
