# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Does removing the most uncertain pixels remove the error: sparsification curve and AUSE."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics import Metric

from .bins import Bins
from .exact_sum import as_float, exact_bin_sums, exact_ones

CURVE_POINTS = 50
_AREA_STEPS = 1000


class Sparsification(Metric):
    """
    Error of the pixels that remain when the most uncertain share f is removed.

    As in Ilg et al. 2018, curves are divided by the error of all pixels, so that they start at
    1, and AUSE is the area over f in 0..1 between the curve and the oracle, which removes the
    pixels of the largest error first. 0 is a perfect order. Pixels come pooled over all images,
    in histograms; within a bin the error is spread evenly.

    :param uncertainty_bins: bins of the uncertainty.
    :param error_bins: bins of the error, for the oracle.
    :param root: whether the error of a set of pixels is the root of their mean (RMSE from
        squared errors) or the mean itself.
    """

    full_state_update = False

    def __init__(self, uncertainty_bins: Bins, error_bins: Bins, root: bool = False) -> None:
        super().__init__()
        self.bins = {'by_uncertainty': uncertainty_bins, 'by_error': error_bins}
        self.root = root
        for name, bins in self.bins.items():
            self.add_state(f'count_{name}', torch.zeros(bins.count, dtype=torch.long),
                           dist_reduce_fx='sum')
            self.add_state(f'error_{name}', torch.zeros(3, bins.count, dtype=torch.long),
                           dist_reduce_fx='sum')

    def update(self, uncertainty: torch.Tensor, error: torch.Tensor,
               place: torch.Tensor | None = None,
               counts: torch.Tensor | None = None) -> None:
        """
        Add pixels with truth.

        :param uncertainty: any shape, in the unit of the bins.
        :param error: same shape: 0 or 1 for misclassified, or the squared error in m².
        :param place: the bin of each uncertainty, int64 [N], where it is known.
        :param counts: of right (error 0) and of wrong pixels (1) by bin of the uncertainty, int64
            [2, bins], where they are counted already: of such errors all is in them.
        """
        if counts is not None:
            self._add_counts(counts)
            return
        uncertainty, error = uncertainty.flatten(), error.flatten()
        for (name, bins), values, known in zip(self.bins.items(), (uncertainty, error),
                                               (place, None)):
            index = bins.index(values) if known is None else known
            count, total = getattr(self, f'count_{name}'), getattr(self, f'error_{name}')
            count += torch.bincount(index, minlength=bins.count)
            total += exact_bin_sums(error, index, bins.count)

    def _add_counts(self, counts: torch.Tensor) -> None:
        by_error = torch.zeros(self.bins['by_error'].count, 2, dtype=torch.long,
                               device=counts.device)
        for error, pixels in enumerate(counts.sum(1)):
            place = int(self.bins['by_error'].index(torch.tensor(float(error))))
            by_error[place] += torch.stack([pixels, pixels * error])
        for name, count, wrong in (('by_uncertainty', counts.sum(0), counts[1]),
                                   ('by_error', by_error[:, 0], by_error[:, 1])):
            getattr(self, f'count_{name}').add_(count)
            getattr(self, f'error_{name}').add_(exact_ones(wrong))

    def compute(self) -> dict[str, torch.Tensor]:
        """Return ause, and the curves fraction (0, 0.02 .. 0.98), error and oracle [50]."""
        fraction = np.arange(CURVE_POINTS) / CURVE_POINTS
        middles = (np.arange(_AREA_STEPS) + 0.5) / _AREA_STEPS
        curves = [self._curve(name, fraction) for name in self.bins]
        # The midpoint rule, which does not need the error of no pixel at f = 1.
        areas = [self._curve(name, middles).mean() for name in self.bins]
        error, oracle = (torch.from_numpy(curve) for curve in curves)
        return {'ause': torch.tensor(areas[0] - areas[1], dtype=torch.float64),
                'fraction': torch.from_numpy(fraction), 'error': error, 'oracle': oracle}

    def _curve(self, name: str, fraction: np.ndarray) -> np.ndarray:
        count = getattr(self, f'count_{name}').cpu().numpy()
        total = as_float(getattr(self, f'error_{name}')).cpu().numpy()
        return sparsification_curve(count, total, fraction, self.root)


def sparsification_curve(count: np.ndarray, error: np.ndarray, fraction: np.ndarray,
                         root: bool = False) -> np.ndarray:
    """
    Return the error that remains at each fraction, over that at 0; NaN if there is no error.

    :param count: pixels of each bin, from the first kept to the first removed.
    :param error: sum of the errors of each bin.
    :param fraction: removed shares in 0..1, 1 excluded.
    """
    kept = np.concatenate([[0.0], np.cumsum(count, dtype=np.float64)])
    summed = np.concatenate([[0.0], np.cumsum(error)])
    if not (kept[-1] > 0 and summed[-1] > 0):
        return np.full(fraction.shape, np.nan)
    remaining = kept[-1] * (1.0 - fraction)
    mean = np.interp(remaining, kept, summed) / remaining
    relative = mean / (summed[-1] / kept[-1])
    return np.sqrt(relative) if root else relative
