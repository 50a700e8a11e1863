# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ranks of single figures of images: what a mean uncertainty says of a whole image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auroc(negative: Sequence[float | None], positive: Sequence[float | None]) -> float | None:
    """Return the chance that a positive is larger than a negative, ties counted as half."""
    if not negative or not positive or negative[0] is None or positive[0] is None:
        return None
    low, high = np.array(negative, float)[:, None], np.array(positive, float)[None]
    return float((high > low).mean() + 0.5 * (high == low).mean())


def rank_correlation(x: Sequence[float | None], y: Sequence[float | None]) -> float | None:
    """Return Spearman's correlation of the pairs that are known; None for fewer than three."""
    pairs = np.array([pair for pair in zip(x, y) if None not in pair], float)
    if len(pairs) < 3:
        return None
    ranks = [np.searchsorted(np.sort(column), column, 'left')
             + np.searchsorted(np.sort(column), column, 'right') for column in pairs.T]
    if min(np.ptp(rank) for rank in ranks) == 0:
        return None
    return float(np.corrcoef(ranks)[0, 1])
