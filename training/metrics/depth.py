# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of depth, pooled over the valid pixels of all images, and means over images."""

from __future__ import annotations

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_row_sums

# Metres: a prediction of 0 has no logarithm. The upper end stands for an infinite depth.
LOG_RANGE_M = (1e-3, 1e6)
# Pixels of an image at a time: their float64 stay in a CPU's cache.
RUN = 2**15
PER_IMAGE = ('rmse', 'abs_rel', 'delta1')


class DepthErrors(Metric):
    """
    RMSE (m), mean absolute relative error, SILog, and the shares within a factor of 1.25^k.

    SILog is KITTI's, in percent: 100·sqrt(mean d² - (mean d)²) with d = ln prediction - ln
    truth, the prediction floored at 1 mm. A squared error saturates at 4.2e6 m².
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ('squared', 'relative', 'log', 'log_squared'):
            self.add_state(name, torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('within', torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('pixels', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('of_images', torch.zeros(3, len(PER_IMAGE), dtype=torch.long),
                       dist_reduce_fx='sum')
        self.add_state('images', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.squared: torch.Tensor
        self.relative: torch.Tensor
        self.log: torch.Tensor
        self.log_squared: torch.Tensor
        self.within: torch.Tensor
        self.pixels: torch.Tensor
        self.of_images: torch.Tensor
        self.images: torch.Tensor

    def update(self, prediction: torch.Tensor, depth: torch.Tensor) -> None:
        """
        Add images whole: the means over images take what one call gives as whole images.

        :param prediction: metres, [B, ..., H, W] for B images, [H, W] or [N] for one.
        :param depth: true metres, same shape, 0 = invalid.
        """
        rows = depth.shape[0] if depth.ndim > 2 else 1
        parts = [self._sums(*part) for part in zip(
            prediction.reshape(rows, -1).split(RUN, 1), depth.reshape(rows, -1).split(RUN, 1))]
        squared, relative, log, log_squared, within, pixels = (
            torch.stack(part).sum(0) for part in zip(*parts))
        self.squared += squared.sum(1)
        self.relative += relative.sum(1)
        self.log += log.sum(1)
        self.log_squared += log_squared.sum(1)
        self.within += within.sum(1)
        self.pixels += pixels.sum()
        count = pixels.clamp(min=1)
        # An image without a valid pixel adds 0 and is not counted.
        self.of_images += exact_row_sums(torch.stack([
            (as_float(squared) / count).sqrt(), as_float(relative) / count,
            within[0] / count.double()]))
        self.images += (pixels > 0).sum()

    @staticmethod
    def _sums(prediction: torch.Tensor, depth: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the sums over pixels [B, N] of what is counted, each [..., B]."""
        valid = depth > 0
        # An invalid pixel becomes a perfect one that adds nothing: quicker than picking.
        truth = torch.where(valid, depth, 1.0).double()
        guess = torch.where(valid, prediction, 1.0).double()
        error = guess - truth
        log = torch.where(valid, guess.clamp(*LOG_RANGE_M).log() - truth.log(), 0.0)
        # A guess of 0 has ratio inf: within no factor.
        ratio = torch.maximum(guess / truth, truth / guess)
        within = torch.stack([((ratio < 1.25**k) & valid).sum(1) for k in (1, 2, 3)])
        return (exact_row_sums(error.square()), exact_row_sums(error.abs_().div_(truth)),
                exact_row_sums(log), exact_row_sums(log.square()), within, valid.sum(1))

    def compute(self) -> dict[str, torch.Tensor]:
        """Return rmse (m), abs_rel, silog (%), delta1..3, their means over images, and pixels."""
        count = self.pixels.clamp(min=1)
        log, log_squared = as_float(self.log) / count, as_float(self.log_squared) / count
        result = {'rmse': (as_float(self.squared) / count).sqrt(),
                  'abs_rel': as_float(self.relative) / count,
                  'silog': 100.0 * (log_squared - log.square()).clamp(min=0.0).sqrt()}
        for k in range(3):
            result[f'delta{k + 1}'] = self.within[k].double() / count
        means = as_float(self.of_images) / self.images.clamp(min=1)
        result.update({f'{name}_per_image': mean for name, mean in zip(PER_IMAGE, means)})
        result['pixels'] = self.pixels
        return result
