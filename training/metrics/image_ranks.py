# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ranks of single figures of images: what a mean uncertainty says of a whole image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def auroc(negative: Sequence[float | None], positive: Sequence[float | None]) -> float | None:
    """Return ``area_under_roc`` of the figures of either kind; None where those are unknown."""
    if not negative or not positive or negative[0] is None or positive[0] is None:
        return None
    figures = np.array([*negative, *positive], float)
    return area_under_roc(figures, np.arange(len(figures)) >= len(negative))


def area_under_roc(score: np.ndarray, bad: np.ndarray) -> float:
    """Return the chance that a bad one's score is above a good one's; NaN without both."""
    positive = int(bad.sum())
    negative = len(bad) - positive
    if not positive or not negative:
        return float('nan')
    # Mean ranks of ties: half of each.
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]
    return float((rank[bad].sum() - positive * (positive + 1) / 2) / (positive * negative))


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
