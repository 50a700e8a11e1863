# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A prediction's depths as figures take them: a number wherever there is a truth."""

from __future__ import annotations

import numpy as np


def told(depth: np.ndarray, depth_max: float) -> np.ndarray:
    """
    Return depths with the end of the network's range where they are beyond it, or are no number.

    They are wrong there, and count: left out, a network that says 'far' where it is lost would
    look better the more of it is lost.

    :param depth: metres [H, W]; +inf beyond the range, NaN where there is none.
    :param depth_max: metres.
    """
    return np.nan_to_num(depth, nan=depth_max, posinf=depth_max)
