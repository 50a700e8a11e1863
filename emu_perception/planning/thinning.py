# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fewer pixels of a map: one of each block, by its place or by being the nearest."""

from __future__ import annotations

import numpy as np


def middles(height: int, width: int, stride: int) -> np.ndarray:
    """Return the flat indices of the pixels in the middle of each block of ``stride`` a side."""
    rows, columns = (np.arange(min(stride // 2, size - 1), size, stride)
                     for size in (height, width))
    return (rows[:, None] * width + columns[None, :]).ravel()


def blindest(depth: np.ndarray, stride: int) -> float:
    """
    Return the share of pixels without a depth in the upright strip that has the fewest.

    :param depth: float32 HxW; NaN is unknown.
    :param stride: columns of a strip.
    """
    starts = np.arange(0, depth.shape[1], stride)
    columns = np.diff(starts, append=depth.shape[1])
    return float((np.add.reduceat(np.isnan(depth).mean(axis=0), starts) / columns).max())


def nearest(depth: np.ndarray, chosen: np.ndarray, stride: int) -> np.ndarray:
    """
    Return the flat index of the nearest chosen pixel of each block that has one.

    A thin pole in front of a wall stays, which a pixel by its place would lose.

    :param depth: float32 HxW, metres; what is not finite is never taken.
    :param chosen: bool HxW.
    """
    height, width = depth.shape
    candidates = np.where(chosen & np.isfinite(depth), depth, np.float32(np.inf))
    if stride == 1:
        return np.flatnonzero(np.isfinite(candidates))
    rows, columns = -(-height // stride), -(-width // stride)
    padded = np.full((rows * stride, columns * stride), np.inf, np.float32)
    padded[:height, :width] = candidates
    blocks = padded.reshape(rows, stride, columns, stride).swapaxes(1, 2).reshape(
        rows, columns, stride * stride)
    inside = blocks.argmin(axis=-1)
    found = np.isfinite(np.take_along_axis(blocks, inside[..., None], axis=-1)[..., 0])
    row, column = np.nonzero(found)
    inside = inside[found]
    return (row * stride + inside // stride) * width + column * stride + inside % stride
