# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How many of the most likely classes hold the true one, at a level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

FACTORS = 2


def made(maps: Mapping[str, np.ndarray], factors: tuple[float, ...]) -> np.ndarray:
    """
    Return the size of each pixel's set of classes, uint8 [H, W], 1 to the number of classes.

    The set is that of the most likely classes, 1 + floor(factor * entropy) of them, as an interval
    is so many sigma wide. What is no number is all of them.

    :param maps: of a prediction, with ``segmentation_entropy``.
    :param factors: the factor, and the number of classes, 255 at most.
    """
    factor, classes = (np.float32(value) for value in factors)
    # fmin takes the number where the other is none. An entropy that rounding has made negative is
    # 0: a set of no class would be surer than sure.
    found = np.fmin(maps['segmentation_entropy'] * factor + np.float32(1.0), classes)
    return np.maximum(found, np.float32(1.0), out=found).astype(np.uint8)
