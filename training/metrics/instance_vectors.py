# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Error of the vectors to the instances' centroids (Kendall et al., arXiv 1705.07115)."""

from __future__ import annotations

import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_sum


class InstanceVectorErrors(Metric):
    """
    Mean of |dx error| + |dy error| over the pixels of instances, in pixels of the network.

    The skill says what that is worth: 1 for no error, 0 for the error of vectors that are all
    zero, or a larger one.
    """

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        for name in ('error', 'length'):
            self.add_state(name, torch.zeros(3, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('pixels', torch.zeros((), dtype=torch.long), dist_reduce_fx='sum')
        self.error: torch.Tensor
        self.length: torch.Tensor
        self.pixels: torch.Tensor

    def update(self, prediction: torch.Tensor, vectors: torch.Tensor,
               on_instance: torch.Tensor) -> None:
        """
        Add images.

        :param prediction: dx, dy in pixels, [B, 2, H, W].
        :param vectors: the true ones, same shape.
        :param on_instance: bool [B, H, W], pixels that count.
        """
        error = (prediction.double() - vectors.double()).abs().sum(1)
        self.error += exact_sum(error[on_instance])
        self.length += exact_sum(vectors.double().abs().sum(1)[on_instance])
        self.pixels += on_instance.sum()

    def compute(self) -> dict[str, torch.Tensor]:
        """Return mean_error (px), skill and pixels."""
        error, length = as_float(self.error), as_float(self.length)
        # Instances of one pixel alone have vectors of length 0.
        skill = torch.where(length > 0, (1 - error / length.clamp(min=1e-12)).clamp(min=0), 0.0)
        return {'mean_error': error / self.pixels.clamp(min=1), 'skill': skill,
                'pixels': self.pixels}
