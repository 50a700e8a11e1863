# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of depth, pooled over the valid pixels of all images."""

from __future__ import annotations

import torch
from torchmetrics import Metric


class DepthErrors(Metric):
    """RMSE (m), mean absolute relative error, and the shares delta1..3 within a factor 1.25^k."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ('squared', 'relative'):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx='sum')
        self.add_state('within', torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('pixels', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.squared: torch.Tensor
        self.relative: torch.Tensor
        self.within: torch.Tensor
        self.pixels: torch.Tensor

    def update(self, prediction: torch.Tensor, depth: torch.Tensor) -> None:
        """
        Add pixels.

        :param prediction: metres, any shape.
        :param depth: true metres, same shape, 0 = invalid.
        """
        valid = depth > 0
        truth, guess = depth[valid].double(), prediction[valid].double()
        self.squared += (guess - truth).square().sum()
        self.relative += ((guess - truth).abs() / truth).sum()
        # A guess of 0 has ratio inf: within no factor.
        ratio = torch.maximum(guess / truth, truth / guess)
        self.within += torch.stack([(ratio < 1.25**k).sum() for k in (1, 2, 3)])
        self.pixels += valid.sum()

    def compute(self) -> dict[str, torch.Tensor]:
        """Return rmse (m), abs_rel, delta1, delta2, delta3 and the number of pixels."""
        count = self.pixels.clamp(min=1)
        result = {'rmse': (self.squared / count).sqrt(), 'abs_rel': self.relative / count}
        for k in range(3):
            result[f'delta{k + 1}'] = self.within[k] / count
        result['pixels'] = self.pixels
        return result
