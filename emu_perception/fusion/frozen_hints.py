# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a depth camera sends the same pixels again while the picture beside them moves on."""

from __future__ import annotations

import cv2
import numpy as np

_SAMPLED = 64  # Of the pixels one in so many: depths that differ do so nearly everywhere.
# Pictures as means over so many fields, in which a sensor's noise averages out, and by how many
# grey levels these differ where the view has moved.
_FIELDS, _MOVED = (32, 24), 3.0


class FrozenHints:
    """
    Follows the depths of successive images.

    No two of a real sensor are the same, by its noise. A simulator's are while a robot stands;
    then the picture, but for noise, is the same too.
    """

    def __init__(self) -> None:
        """Begin without an image."""
        self._depth: np.ndarray | None = None
        self._picture: np.ndarray | None = None

    def frozen(self, depth: np.ndarray, picture: np.ndarray) -> bool:
        """
        Tell whether a depth is an older picture's.

        :param depth: float32 [H, W]; kept until the next one and must not change.
        :param picture: uint8 [h, w, 3], likewise.
        """
        if self._depth is None or self._picture is None or not _same(depth, self._depth):
            self._depth, self._picture = depth, picture
            return False
        return _difference(picture, self._picture) > _MOVED


def _same(depth: np.ndarray, last: np.ndarray) -> bool:
    return depth.shape == last.shape and all(
        np.array_equal(*pair) for pair in ((depth.ravel()[::_SAMPLED], last.ravel()[::_SAMPLED]),
                                           (depth, last)))


def _difference(picture: np.ndarray, before: np.ndarray) -> float:
    now, then = (cv2.resize(one, _FIELDS, interpolation=cv2.INTER_AREA).astype(np.float32)
                 for one in (picture, before))
    return float(np.abs(now - then).mean())
