# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
OpenCV's resizing as a few weighted gathers, so that images need not be resized on the CPU.

A resampling along one axis is T taps for each output: out[i] = sum_t weight[t, i] x[index[t, i]].
The taps are OpenCV's own: overlap lengths for INTER_AREA, two neighbours for INTER_LINEAR, and for
INTER_NEAREST_EXACT what OpenCV itself picks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

# More taps than this are more work than resizing on the CPU and uploading less.
MAX_TAPS = 16


@dataclass(frozen=True)
class Taps:
    """
    One axis.

    :ivar index: int64 [T, n], where each output of n reads.
    :ivar weight: float32 [T, n]; None = the one tap's value as it is.
    """

    index: torch.Tensor
    weight: torch.Tensor | None

    def to(self, device: torch.device) -> Taps:
        """Return the same taps on a device."""
        return Taps(self.index.to(device),
                    None if self.weight is None else self.weight.to(device))

    def apply(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """Resample a dimension; float32, or x's own type where there are no weights."""
        if self.weight is None:
            return x.index_select(dim, self.index[0])
        shape = [1] * x.ndim
        shape[dim] = -1
        total = x.index_select(dim, self.index[0]).float() * self.weight[0].view(shape)
        for index, weight in zip(self.index[1:], self.weight[1:]):
            total += x.index_select(dim, index).float() * weight.view(shape)
        return total


def area_taps(source: int, target: int) -> Taps:
    """Return the taps of INTER_AREA for an axis that does not grow: lengths of overlap."""
    scale = source / target
    begin = np.arange(target) * scale
    first = np.floor(begin).astype(np.int64)
    index = first + np.arange(int(np.ceil(scale)) + 1)[:, None]
    overlap = np.minimum(index + 1, begin + scale) - np.maximum(index, begin)
    # Overlaps below a thousandth of a pixel are rounding; OpenCV leaves them out too.
    weight = np.where((overlap > 1e-3) & (index < source), overlap, 0.0)
    return _taps(np.minimum(index, source - 1), weight / weight.sum(axis=0))


def linear_taps(source: int, target: int) -> Taps:
    """Return the taps of INTER_LINEAR: two neighbours, the edge repeated."""
    at = np.clip((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0, source - 1)
    first = np.floor(at).astype(np.int64)
    return _neighbours(first, at - first, source)


def linear_area_taps(source: int, target: int) -> Taps:
    """Return the taps of INTER_AREA where one of the two axes grows: OpenCV's own mixture."""
    scale = source / target
    out = np.arange(target)
    first = np.floor(out * scale).astype(np.int64)
    part = (out + 1) - (first + 1) / scale
    return _neighbours(first, np.where(part <= 0, 0.0, part - np.floor(part)), source)


def nearest_taps(source: int, target: int) -> Taps:
    """Return the one tap of INTER_NEAREST_EXACT (INTER_NEAREST where OpenCV lacks it)."""
    mode = getattr(cv2, 'INTER_NEAREST_EXACT', cv2.INTER_NEAREST)
    numbers = np.arange(source, dtype=np.float32)[None]
    index = cv2.resize(numbers, (target, 1), interpolation=mode).astype(np.int64)
    return Taps(torch.from_numpy(index), None)


def image_taps(source: tuple[int, int], target: tuple[int, int]) -> tuple[Taps, Taps] | None:
    """
    Return the taps of rows and columns with which ``preprocessing.resized_image`` resizes.

    :param source: (height, width) of the image.
    :param target: (height, width) at the network.
    :return: None if the sizes are the same.
    """
    if source == target:
        return None
    if source[0] * source[1] <= target[0] * target[1]:
        make = linear_taps
    elif source[0] >= target[0] and source[1] >= target[1]:
        make = area_taps
    else:
        make = linear_area_taps
    return make(source[0], target[0]), make(source[1], target[1])


def resized_levels(image: torch.Tensor, taps: tuple[Taps, Taps]) -> torch.Tensor:
    """
    Return an image [H, W, 3] resized, rounded to whole grey levels as uint8 would be.

    :return: float32 [h, w, 3], 0..255.
    """
    rows, columns = taps
    resized = columns.apply(rows.apply(image, 0), 1)
    if 2 * rows.index.shape[1] == image.shape[0] and 2 * columns.index.shape[1] == image.shape[1]:
        # OpenCV halves an image in integers, where 0.5 goes up; elsewhere it goes to even.
        return resized.add_(0.5).floor_()
    return resized.round_()


def _neighbours(first: np.ndarray, part: np.ndarray, source: int) -> Taps:
    return _taps(np.stack([np.minimum(first, source - 1), np.minimum(first + 1, source - 1)]),
                 np.stack([1.0 - part, part]))


def _taps(index: np.ndarray, weight: np.ndarray) -> Taps:
    used = np.array(weight.any(axis=1))
    used[0] = True
    return Taps(torch.from_numpy(index[used]), torch.from_numpy(weight[used].astype(np.float32)))
