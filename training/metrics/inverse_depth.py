# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of inverse depth or disparity, as Kendall et al. count them (arXiv 1705.07115)."""

from __future__ import annotations

from typing import Any

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_sum


class InverseDepthErrors(Metric):
    """
    Mean and root mean square of |prediction - truth|, pooled over the known pixels.

    In the unit of what is given: pixels of the network's width for disparities, 1/m otherwise. The
    sky, 0, counts.

    :param arguments: of torchmetrics' Metric, as sync_on_compute.
    """

    full_state_update = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for name in ('absolute', 'squared'):
            self.add_state(name, torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('pixels', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.absolute: torch.Tensor
        self.squared: torch.Tensor
        self.pixels: torch.Tensor

    def update(self, prediction: torch.Tensor, truth: torch.Tensor) -> None:
        """
        Add pixels.

        :param prediction: 0 or more, any shape.
        :param truth: same shape, negative = unknown.
        """
        known = truth >= 0
        error = (prediction[known].double() - truth[known].double()).abs()
        self.absolute += exact_sum(error)
        self.squared += exact_sum(error.square())
        self.pixels += known.sum()

    def compute(self) -> dict[str, torch.Tensor]:
        """Return mean_error, rms_error and pixels."""
        count = self.pixels.clamp(min=1)
        return {'mean_error': as_float(self.absolute) / count,
                'rms_error': (as_float(self.squared) / count).sqrt(), 'pixels': self.pixels}
