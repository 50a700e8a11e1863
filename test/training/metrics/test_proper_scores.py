# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""NLL and Brier score by hand."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.proper_scores import ProperScores


def test_nll_and_brier_by_hand():
    metric = ProperScores()
    # p = (0.7, 0.2, 0.1), true class 1; p = (0, 1, 0), true class 0.
    metric.update(torch.tensor([0.2, 0.0], dtype=torch.float64),
                  torch.tensor([0.49 + 0.04 + 0.01, 1.0], dtype=torch.float64))
    result = metric.compute()
    assert float(result['nll']) == pytest.approx((-math.log(0.2) - math.log(1e-12)) / 2)
    assert float(result['brier']) == pytest.approx(((0.49 + 0.64 + 0.01) + 2.0) / 2)


def test_scores_have_the_same_bits_in_every_order_and_are_nan_of_nothing():
    torch.manual_seed(0)
    p, squares = torch.rand(500), torch.rand(500)
    whole, parts = ProperScores(), ProperScores()
    whole.update(p, squares)
    for chunk in torch.randperm(500).split(7):
        parts.update(p[chunk], squares[chunk])
    assert whole.compute() == parts.compute()
    empty = ProperScores()
    empty.update(torch.tensor([]), torch.tensor([]))
    assert empty.compute()['nll'].isnan() and empty.compute()['brier'].isnan()
