# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed bins over a declared range, for histograms that add over images and processes."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
import torch


@dataclass(frozen=True)
class Bins:
    """
    Equal bins [edge, next edge) of a value or of its logarithm.

    What lies below or above the range falls in the first or the last bin; so does NaN, in the
    last: an uncertainty that is no number is trusted least.

    :param low: lower edge of the range.
    :param high: upper edge.
    :param count: number of bins.
    :param logarithmic: whether the bins are equal in ln of the value.
    """

    low: float
    high: float
    count: int = 4096
    logarithmic: bool = False

    def index(self, values: torch.Tensor) -> torch.Tensor:
        """Return the bin of each value, int64 of the same shape."""
        inside = values.double().nan_to_num(nan=self.high).clamp_(self.low, self.high)
        low, high = self.low, self.high
        if self.logarithmic:
            inside, low, high = inside.log_(), math.log(low), math.log(high)
        scaled = inside.sub_(low).mul_(self.count / (high - low))
        return scaled.long().clamp_(0, self.count - 1)

    def edges(self) -> torch.Tensor:
        """Return the float64 [count + 1] edges."""
        share = torch.arange(self.count + 1, dtype=torch.float64) / self.count
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            return (low + share * (high - low)).exp()
        return self.low + share * (self.high - self.low)


def counts_between(values: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """
    Return how many values lie between a few edges, int64 [edges + 1], each bin (lower, upper].

    NaN lies above all. On a CPU each edge is a pass by vectors, where a search among them takes
    turns that no processor foresees.

    :param values: [N].
    :param edges: rising, of the same type.
    """
    if values.device.type != 'cpu':
        return torch.bincount(torch.bucketize(values, edges), minlength=len(edges) + 1)
    array = values.numpy()
    below = [0, *(int(np.count_nonzero(array <= edge)) for edge in edges.tolist()), array.size]
    return torch.from_numpy(np.diff(below))


# m²: from a millimetre to 100 m of sigma, each bin 0.6 % wide.
VARIANCE_BINS = Bins(1e-6, 1e4, logarithmic=True)
# 1: sigma / depth from a hundredth of a percent to a hundred times the depth, each 0.3 % wide.
RELATIVE_BINS = Bins(1e-4, 1e2, logarithmic=True)
# m²: errors from 10 micrometres to a kilometre, each bin 0.9 % wide.
SQUARED_ERROR_BINS = Bins(1e-10, 1e6, logarithmic=True)
# 0 = right, 1 = misclassified.
MISCLASSIFIED_BINS = Bins(0.0, 1.0, count=2)


def entropy_bins(num_classes: int) -> Bins:
    """Return bins from 0 to ln K nats, the entropy of knowing nothing."""
    return Bins(0.0, math.log(max(2, num_classes)))
