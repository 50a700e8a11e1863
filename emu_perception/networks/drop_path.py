# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth (arXiv 1603.09382): a residual branch that is left out of some samples."""

from __future__ import annotations

import torch
from torch import nn


class DropPath(nn.Module):
    """
    Leaves its input out of a sample with a probability, in training; the others are scaled up.

    The random numbers are drawn as timm's module of this name draws them: a training repeats.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, ...] to the same shape."""
        if not self.training or self.drop_prob == 0:
            return x
        keep = 1.0 - self.drop_prob
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (kept.div_(keep) if keep > 0 else kept)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f'drop_prob={self.drop_prob:.3f}'
