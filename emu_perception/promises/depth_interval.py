# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From where to where a pixel's depth is, at a level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FACTORS = 2


def made(maps: Mapping[str, np.ndarray], factors: tuple[float, ...]) -> np.ndarray:
    """
    Return [depth - a sigma, depth + b sigma], float32 [H, W, 2], metres; never below 0.

    NaN, NaN where the depth is not known or beyond the network's range: nothing is promised there.

    :param maps: of a prediction, with the network's own ``depth`` and ``depth_variance``.
    :param factors: a and b.
    """
    depth, lower, upper = maps['depth'], np.float32(factors[0]), np.float32(factors[1])
    sigma = np.sqrt(maps['depth_variance'])
    far = depth + upper * sigma
    near = np.maximum(depth - lower * sigma, np.float32(0.0))
    # It is finite exactly where depth and sigma are.
    unknown = ~np.isfinite(far)
    if unknown.any():
        np.copyto(far, np.float32(np.nan), where=unknown)
        np.copyto(near, np.float32(np.nan), where=unknown)
    import cv2  # Here: who only reads the table of maps, as for a --help, needs none.
    return cv2.merge([near, far])
