# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Losses against values computed by hand or by torch."""

from __future__ import annotations

import math

import pytest
from rounding import FEW, rounding
import torch
from torch.nn import functional as F
from training.losses.terms import cross_entropy, gaussian_nll


def test_cross_entropy_is_the_mean_over_labelled_pixels_of_the_batch():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 7, 9)
    label = torch.randint(0, 5, (2, 7, 9), dtype=torch.uint8)
    label[0, :3] = 255
    expected = F.cross_entropy(logits, label.long(), ignore_index=255)
    assert torch.allclose(cross_entropy(logits, label), expected)


def test_gaussian_nll_is_equation_6_over_valid_pixels():
    mean, variance = torch.tensor([[[1.0, 2.0, 9.0]]]), torch.tensor([[[0.5, 2.0, 1.0]]])
    depth = torch.tensor([[[2.0, 2.0, 0.0]]])
    by_hand = (0.5 * (1.0 / 0.5 + math.log(0.5)) + 0.5 * math.log(2.0)) / 2
    assert float(gaussian_nll(mean, variance, depth)) == pytest.approx(
        by_hand, abs=rounding(FEW))


def test_batches_without_truth_give_zero_with_a_zero_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    mean = torch.rand(1, 4, 4, requires_grad=True)
    variance = torch.ones(1, 4, 4)
    loss = (cross_entropy(logits, torch.full((1, 4, 4), 255)) +
            gaussian_nll(mean, variance, torch.zeros(1, 4, 4)))
    loss.backward()
    assert float(loss) == 0.0 and not logits.grad.any() and not mean.grad.any()
