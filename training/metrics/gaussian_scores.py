# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How well depth's predicted Gaussian fits: likelihood, and coverage of its intervals."""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_sum

VARIANCE_FLOOR = 1e-12  # m²
NOMINAL = tuple(round(0.05 * k, 2) for k in range(1, 20))
NAMED = (0.5, 0.8, 0.9, 0.95)
# The NLL of an overconfident model is large: steps of 6e-8 nats up to 2.7e11.
_BITS = 24


class GaussianScores(Metric):
    """
    NLL and interval coverage of N(mean, variance) against the true depth.

    The NLL is that of the density in nats, ½·((y - mu)²/s² + ln s² + ln 2π): the training loss
    (equation 6 of EMUFormer) leaves the constant ½·ln 2π = 0.919 out. The central interval of
    nominal coverage p is |y - mu| <= s·Phi^-1((1 + p) / 2); calibration_error is the mean over
    p = 0.05, 0.10 .. 0.95 of |observed - p| (Kuleshov et al. 2018, with the absolute value).
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        quantiles = [NormalDist().inv_cdf((1.0 + p) / 2.0) for p in NOMINAL]
        self.register_buffer('quantiles', torch.tensor(quantiles, dtype=torch.float64),
                             persistent=False)
        self.quantiles: torch.Tensor
        self.add_state('log_loss', torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        # Pixels by the narrowest of the intervals that holds them; the last: by none.
        self.add_state('held', torch.zeros(len(NOMINAL) + 1, dtype=torch.long),
                       dist_reduce_fx='sum')
        self.log_loss: torch.Tensor
        self.held: torch.Tensor

    def update(self, mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor) -> None:
        """
        Add pixels.

        :param mean: metres, any shape.
        :param variance: m², same shape, floored at 1e-12.
        :param depth: true metres, same shape, 0 = invalid.
        """
        index = (depth.flatten() > 0).nonzero().squeeze(1)
        mean, variance, depth = (x.flatten()[index].double() for x in (mean, variance, depth))
        variance = variance.clamp(min=VARIANCE_FLOOR)
        error = mean - depth
        loss = 0.5 * (error.square() / variance + variance.log() + math.log(2.0 * math.pi))
        self.log_loss += exact_sum(loss, _BITS)
        place = torch.bucketize(error.abs() / variance.sqrt(), self.quantiles)
        self.held += torch.bincount(place, minlength=len(NOMINAL) + 1)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return nll, coverage_50/80/90/95, calibration_error, and nominal, observed [19]."""
        total = self.held.sum()
        nominal = torch.tensor(NOMINAL, dtype=torch.float64, device=self.held.device)
        observed = self.held[:-1].cumsum(0).double() / total
        named = {f'coverage_{round(100 * p)}': observed[NOMINAL.index(p)] for p in NAMED}
        return {'nll': as_float(self.log_loss, _BITS) / total, **named,
                'calibration_error': (observed - nominal).abs().mean(),
                'nominal': nominal, 'observed': observed}
