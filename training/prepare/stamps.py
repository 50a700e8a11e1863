# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Matches messages of two topics by their header stamps."""

from __future__ import annotations

import numpy as np


def nearest(stamps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """
    Return for each stamp the index of the nearest of the others, the earlier of two.

    :param stamps: int64 [N], nanoseconds.
    :param others: int64 [M], sorted, M >= 1.
    """
    right = np.clip(np.searchsorted(others, stamps), 1, max(1, len(others) - 1))
    left = right - 1
    right = np.minimum(right, len(others) - 1)
    return np.where(stamps - others[left] <= others[right] - stamps, left, right)


def match_stamps(stamps: np.ndarray, others: np.ndarray, tolerance_ns: int) -> dict[int, int]:
    """
    Pair stamps that are each other's nearest: no message is used twice.

    :param stamps: int64 [N], sorted, nanoseconds; ``others`` likewise.
    :return: of stamp to other stamp, in order.
    """
    if not (len(stamps) and len(others)):
        return {}
    there, back = nearest(stamps, others), nearest(others, stamps)
    mutual = back[there] == np.arange(len(stamps))
    close = np.abs(others[there] - stamps) <= tolerance_ns
    return {int(stamps[i]): int(others[there[i]]) for i in np.flatnonzero(mutual & close)}


def smallest_difference_ns(stamps: np.ndarray, others: np.ndarray) -> int:
    """Return the smallest distance between a stamp and another, nanoseconds; neither is empty."""
    return int(np.abs(others[nearest(stamps, others)] - stamps).min())
