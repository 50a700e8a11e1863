# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""ECE by hand and its bins."""

from __future__ import annotations

import pytest
from rounding import rounding
import torch
from training.metrics.calibration import CalibrationError


def test_ece_by_hand():
    metric = CalibrationError(10)
    metric.update(torch.tensor([0.95, 0.95, 0.55, 0.1], dtype=torch.float64),
                  torch.tensor([True, False, True, False]))
    result = metric.compute()
    # Gaps: |1 - 1.9| + |1 - 0.55| + |0 - 0.1| over 4 pixels.
    assert float(result['ece']) == pytest.approx((0.9 + 0.45 + 0.1) / 4, abs=1e-9)
    assert result['count'].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert float(result['accuracy'][9]) == 0.5
    assert float(result['confidence'][9]) == pytest.approx(0.95, abs=1e-9)
    assert result['accuracy'][1].isnan() and result['confidence'][1].isnan()


def test_a_bin_holds_its_upper_edge_and_not_its_lower():
    metric = CalibrationError(5)
    edges = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], dtype=torch.float64)
    metric.update(edges, torch.ones(6, dtype=torch.bool))
    assert metric.compute()['count'].tolist() == [2, 1, 1, 1, 1]


def test_ece_agrees_with_torchmetrics():
    from torchmetrics.functional.classification import multiclass_calibration_error
    torch.manual_seed(0)
    probabilities, label = torch.randn(5000, 7).softmax(1), torch.randint(0, 7, (5000,))
    metric = CalibrationError(15)
    confidence, guess = probabilities.max(1)
    metric.update(confidence, guess == label)
    # Ours counts in integers, torchmetrics sums 5000 float32 numbers up to 1.
    expected = multiclass_calibration_error(probabilities, label, 7, n_bins=15, norm='l1')
    assert float(metric.compute()['ece']) == pytest.approx(float(expected), abs=rounding(5000))


def test_ece_has_the_same_bits_in_every_order():
    torch.manual_seed(1)
    confidence, correct = torch.rand(999), torch.rand(999) < 0.5
    whole, parts = CalibrationError(15), CalibrationError(15)
    whole.update(confidence, correct)
    for chunk in torch.randperm(999).split(50):
        parts.update(confidence[chunk], correct[chunk])
    assert torch.equal(whole.compute()['ece'], parts.compute()['ece'])
    assert torch.equal(whole.confidence, parts.confidence)
