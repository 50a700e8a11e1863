# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Losses, each one function with the equation's number in EMUFormer (arXiv 2402.10580)."""

from __future__ import annotations

import torch
from torch.nn import functional as F

IGNORE = 255


def cross_entropy(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """
    Equation 2, mean over the labelled pixels of the batch; 0 where there is none.

    :param logits: [B, K, H, W].
    :param label: [B, H, W], any integer type, 255 = unlabelled.
    """
    target = label.long()
    total = F.cross_entropy(logits.float(), target, ignore_index=IGNORE, reduction='sum')
    # A batch without labels must give 0 with a gradient of 0, not 0/0.
    return total / (target != IGNORE).sum().clamp(min=1)


def gaussian_nll(mean: torch.Tensor, variance: torch.Tensor,
                 depth: torch.Tensor) -> torch.Tensor:
    """
    Equation 6, ½((y - mu)²/s² + log s²), mean over the valid pixels of the batch, in float32.

    :param mean: [B, H, W], metres.
    :param variance: [B, H, W], m², above 0.
    :param depth: [B, H, W], metres, 0 = invalid.
    """
    valid = depth > 0
    mean, variance = mean.float(), variance.float()
    loss = 0.5 * ((depth - mean).square() / variance + variance.log())
    return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp(min=1)
