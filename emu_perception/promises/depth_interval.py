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
    depth, variance = maps['depth'], maps['depth_variance']
    lower, upper = (np.float32(factor) for factor in factors)
    sigma = np.sqrt(variance)
    interval = np.empty((*depth.shape, FACTORS), np.float32)
    np.maximum(depth - lower * sigma, np.float32(0.0), out=interval[..., 0])
    np.add(depth, upper * sigma, out=interval[..., 1])
    unknown = ~np.isfinite(interval).all(-1)
    if unknown.any():
        interval[unknown] = np.nan
    return interval
