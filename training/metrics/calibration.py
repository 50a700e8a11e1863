# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Expected calibration error from pooled integer bin counts."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_bin_sums


class Binned(NamedTuple):
    """By bin: pixels and correct ones, int64 [bins]; exact sums of confidences [3, bins]."""

    pixels: torch.Tensor
    correct: torch.Tensor
    confidence: torch.Tensor


class CalibrationError(Metric):
    """
    ECE of Guo et al. 2017, equation 3: the mean over pixels of |accuracy - confidence| by bin.

    The bins (lo, hi] are equally wide; a confidence of 0 falls in the first.

    :param bins: number of bins of the confidence.
    """

    full_state_update = False

    def __init__(self, bins: int = 15) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer('inner', torch.arange(1, bins, dtype=torch.float64) / bins,
                             persistent=False)
        self.inner: torch.Tensor
        self.add_state('count', torch.zeros(bins, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('correct', torch.zeros(bins, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('confidence', torch.zeros(3, bins, dtype=torch.long),
                       dist_reduce_fx='sum')
        self.count: torch.Tensor
        self.correct: torch.Tensor
        self.confidence: torch.Tensor

    def update(self, confidence: torch.Tensor, correct: torch.Tensor,
               finer: Binned | None = None) -> None:
        """
        Add labelled pixels.

        :param confidence: largest probability, 0..1, any shape.
        :param correct: bool, same shape.
        :param finer: the same pixels in bins that divide these, where they are counted already.
        """
        found = self.binned(confidence, correct) if finer is None else finer
        pixels, correct, summed = (part.unflatten(-1, (self.bins, -1)).sum(-1) for part in found)
        self.count += pixels
        self.correct += correct
        self.confidence += summed

    def binned(self, confidence: torch.Tensor, correct: torch.Tensor) -> Binned:
        """Count pixels without adding them; arguments as of ``update``."""
        confidence, correct = confidence.flatten(), correct.flatten()
        index = self._bin(confidence)
        both = torch.bincount(index * 2 + correct, minlength=2 * self.bins).view(self.bins, 2)
        return Binned(both.sum(1), both[:, 1], exact_bin_sums(confidence, index, self.bins))

    def _bin(self, confidence: torch.Tensor) -> torch.Tensor:
        # The sum is finite if all are, and read at once; torch asks value by value.
        if confidence.device.type != 'cpu' or confidence.dtype != torch.float32 or not bool(
                confidence.sum().isfinite()):
            return torch.bucketize(confidence.double(), self.inner)
        # The product is exact: 24 bits by those of ``bins`` fit in a float64's 53. An edge that a
        # float32 can hold is exact in ``inner`` too, and none lies between any other and k / bins.
        place = confidence.double().mul_(self.bins).ceil_().long()
        return place.sub_(1).clamp_(0, self.bins - 1)

    def compute(self) -> dict[str, torch.Tensor]:
        """
        Return ece, and the reliability curve: count, accuracy and confidence [bins] of each bin.

        The ECE of no pixel is NaN, as are the accuracy and the confidence of an empty bin.
        """
        summed = as_float(self.confidence)
        gap = (self.correct.double() - summed).abs().sum()
        return {'ece': gap / self.count.sum(), 'count': self.count,
                'accuracy': self.correct.double() / self.count,
                'confidence': summed / self.count}
