# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Whether pictures change to and fro between two views, as where two cameras come by one topic.

This is for what no header tells: two cameras of one frame and size behind one publisher. It is
worth a warning and no more: an emitter or a light that is on for every other picture may show so.
On the RealSense's 60 pictures and NYUv2's 795, in their order, not one is a return; of the
RealSense's, the later half between the earlier, 21 of 60 are.
"""

from __future__ import annotations

from collections import deque

import cv2
from emu_perception.cameras.plausibility import Remark
import numpy as np

# So many returns within so many seconds.
_RETURNS, _WITHIN_S = 6, 5.0
# Correlations of small grey pictures: of neighbours that are two views, of a view with itself.
# What changes all of a picture alike, as a flickering light or an exposure, changes them little.
_UNLIKE, ALIKE = 0.5, 0.9
_SMALL = (16, 12)
_FEWEST = 96  # Pixels of the smaller side that are looked at.
_FLAT = 4.0  # Grey levels: of less contrast there is noise alone.
_BEFORE = 4  # Pictures, the one before among them.
_REMARK = Remark('two_views', 'the images change to and fro between two views: do two cameras '
                 'send there? Give each a topic and a node of its own')


class TwoViews:
    """Follows the pictures of one topic, in their order; for one thread."""

    def __init__(self) -> None:
        """Begin without a picture."""
        self._last: deque[np.ndarray] = deque(maxlen=_BEFORE)
        self._returns: deque[float] = deque(maxlen=_RETURNS)

    def see(self, rgb: np.ndarray, now_s: float) -> Remark | None:
        """
        Take a picture, and return what there is to say of the last ones.

        :param rgb: uint8 [H, W, 3].
        :param now_s: of any clock.
        """
        small = small_picture(rgb)
        if small is not None:
            before = [float((small * other).sum()) for other in self._last]
            if before and before[-1] < _UNLIKE and max(before) > ALIKE:
                self._returns.append(now_s)
            self._last.append(small)
        many = len(self._returns) == _RETURNS and now_s - self._returns[0] <= _WITHIN_S
        return _REMARK if many else None


def small_picture(rgb: np.ndarray) -> np.ndarray | None:
    """Return a small grey picture of mean 0 and length 1; None of one without contrast."""
    step = max(1, min(rgb.shape[:2]) // _FEWEST)
    grey = cv2.resize(np.ascontiguousarray(rgb[::step, ::step]), _SMALL,
                      interpolation=cv2.INTER_AREA).mean(2, dtype=np.float32)
    grey -= grey.mean()
    return None if grey.std() < _FLAT else grey / np.linalg.norm(grey)
