# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How well depth's predicted Gaussian fits: likelihood, and coverage of its intervals."""

from __future__ import annotations

import math

from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.normal_distribution import half_width
import torch
from torchmetrics import Metric

from .bins import counts_between
from .exact_sum import as_float, exact_sum

VARIANCE_FLOOR = 1e-12  # m²
NOMINAL = tuple(round(0.05 * k, 2) for k in range(1, 20))
NAMED = (0.5, 0.8, 0.9, 0.95)
# The NLL of an overconfident model is large: steps of 6e-8 nats up to 2.7e11.
_BITS = 24


class GaussianScores(Metric):
    """
    NLL and interval coverage of N(mean, variance) against the true depth, or of a log-normal.

    The NLL is that of the density in nats, ½·((y - mu)²/s² + ln s² + ln 2π): the training loss
    (equation 6 of EMUFormer) leaves the constant ½·ln 2π = 0.919 out. The central interval of
    nominal coverage p is |y - mu| <= s·Phi^-1((1 + p) / 2); calibration_error is the mean over
    p = 0.05, 0.10 .. 0.95 of |observed - p| (Kuleshov et al. 2018, with the absolute value).

    Where the logarithm is the Gaussian one, y, mu and s² are its own in all of these, and the NLL
    is still the density's in metres: the change of variables adds ln y (``depth_forms``). So the
    forms compare.

    :param form: what the density is.
    """

    full_state_update = False

    def __init__(self, form: DepthForm = LINEAR) -> None:
        super().__init__()
        self.form = form
        quantiles = [half_width(p) for p in NOMINAL]
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
        known = depth.flatten() > 0
        index = None if bool(known.all()) else known.nonzero().squeeze(1)
        mean, variance, depth = (
            (x.flatten() if index is None else x.flatten().index_select(0, index)).double()
            for x in (mean, variance, depth))
        variance = variance.clamp(min=VARIANCE_FLOOR)
        slope = self.form.log_slope(depth)
        mean, variance, depth = self.form.as_gaussian(mean, variance, depth)
        error = mean - depth
        loss = error.square().div_(variance).add_(variance.log()).add_(
            math.log(2.0 * math.pi)).mul_(0.5).sub_(slope)
        self.log_loss += exact_sum(loss, _BITS)
        self.held += counts_between(error.abs_().div_(variance.sqrt_()), self.quantiles)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return nll, coverage_50/80/90/95, calibration_error, and nominal, observed [19]."""
        total = self.held.sum()
        nominal = torch.tensor(NOMINAL, dtype=torch.float64, device=self.held.device)
        observed = self.held[:-1].cumsum(0).double() / total
        named = {f'coverage_{round(100 * p)}': observed[NOMINAL.index(p)] for p in NAMED}
        return {'nll': as_float(self.log_loss, _BITS) / total, **named,
                'calibration_error': (observed - nominal).abs().mean(),
                'nominal': nominal, 'observed': observed}
