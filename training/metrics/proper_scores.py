# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Negative log-likelihood and Brier score of segmentation."""

from __future__ import annotations

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_sum

# A probability of 0 for the true class would make the mean infinite: it costs 27.6 nats.
PROBABILITY_FLOOR = 1e-12


class ProperScores(Metric):
    """Means over labelled pixels of -ln p_true and of sum_k (p_k - y_k)² (Brier 1950)."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ('log_loss', 'brier'):
            self.add_state(name, torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('pixels', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.log_loss: torch.Tensor
        self.brier: torch.Tensor
        self.pixels: torch.Tensor

    def update(self, p_true: torch.Tensor, sum_of_squares: torch.Tensor) -> None:
        """
        Add labelled pixels.

        With y one-hot, sum_k (p_k - y_k)² = sum_k p_k² - 2·p_true + 1.

        :param p_true: probability of the true class, any shape; floored at 1e-12 for the NLL.
        :param sum_of_squares: sum_k p_k², same shape.
        """
        p_true = p_true.double()
        self.log_loss += exact_sum(-p_true.clamp(min=PROBABILITY_FLOOR).log())
        self.brier += exact_sum(sum_of_squares.double() - 2.0 * p_true + 1.0)
        self.pixels += p_true.numel()

    def compute(self) -> dict[str, torch.Tensor]:
        """Return nll (nats) and brier (0..2); NaN of no pixel."""
        return {'nll': as_float(self.log_loss) / self.pixels,
                'brier': as_float(self.brier) / self.pixels}
