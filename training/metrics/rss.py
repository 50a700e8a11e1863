# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One number for a segmentation and its uncertainty."""

from __future__ import annotations

import math


def rss(miou: float, ece: float, p_accurate_given_certain: float,
        p_uncertain_given_inaccurate: float) -> float:
    """
    Return the harmonic mean of mIoU, 1 - ECE, p(accurate|certain), p(uncertain|inaccurate).

    All in 0..1. One that is 0 makes it 0; one that is NaN makes it NaN.
    """
    parts = (miou, 1.0 - ece, p_accurate_given_certain, p_uncertain_given_inaccurate)
    if any(math.isnan(part) for part in parts):
        return math.nan
    if min(parts) <= 0.0:
        return 0.0
    return len(parts) / sum(1.0 / part for part in parts)
