# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""AUROC, average precision and FPR95 by hand and against torchmetrics' exact values."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision
from training.metrics.bins import Bins
from training.metrics.error_detection import ErrorDetection


def detection(uncertainty: torch.Tensor, accurate: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = ErrorDetection(Bins(0.0, 1.0))
    metric.update(uncertainty, accurate)
    return metric.compute()


def test_by_hand():
    result = detection(torch.tensor([0.1, 0.2, 0.3, 0.4]),
                       torch.tensor([True, False, True, False]))
    # Of four pairs (wrong, right) one is in the wrong order: 0.2 < 0.3.
    assert float(result['auroc']) == 0.75
    # From above: wrong (precision 1), right, wrong (precision 2/3); each adds half the recall.
    assert float(result['average_precision']) == pytest.approx((1 + 2 / 3) / 2)
    # To flag both errors one of the two right pixels is flagged too.
    assert float(result['fpr95']) == 0.5


def test_a_perfect_uncertainty_a_reversed_one_and_a_constant_one():
    accurate = torch.tensor([True] * 6 + [False] * 4)
    perfect = detection((~accurate).float(), accurate)
    assert [float(perfect[name]) for name in ('auroc', 'average_precision', 'fpr95')] == [1, 1, 0]
    assert float(detection(accurate.float(), accurate)['auroc']) == 0.0
    constant = detection(torch.full((10,), 0.3), accurate)
    assert float(constant['auroc']) == 0.5
    assert float(constant['average_precision']) == pytest.approx(0.4)
    assert float(constant['fpr95']) == 1.0


def test_histograms_come_close_to_the_exact_ranking():
    torch.manual_seed(0)
    accurate = torch.rand(50_000) < 0.8
    u = (torch.rand(50_000) * 0.6 + 0.3 * (~accurate) * torch.rand(50_000)).clamp(0, 1)
    result = detection(u, accurate)
    wrong = (~accurate).long()
    assert float(result['auroc']) == pytest.approx(float(binary_auroc(u, wrong)), abs=1e-4)
    assert float(result['average_precision']) == pytest.approx(
        float(binary_average_precision(u, wrong)), abs=1e-3)


def test_curve_against_a_global_threshold():
    metric = ErrorDetection(Bins(0.0, 1.0, count=4), points=4)
    metric.update(torch.tensor([0.1, 0.3, 0.6, 0.9]), torch.tensor([True, False, True, False]))
    result = metric.compute()
    assert result['uncertainty'].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert result['p_accurate_given_certain'].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert result['p_uncertain_given_inaccurate'].tolist() == [1.0, 0.5, 0.5, 0.0]
    assert result['pavpu'].tolist() == [0.75, 0.5, 0.75, 0.5]


def test_without_errors_it_is_not_defined():
    result = detection(torch.rand(5), torch.ones(5, dtype=torch.bool))
    assert all(result[name].isnan() for name in ('auroc', 'average_precision', 'fpr95'))
    result = detection(torch.rand(5), torch.zeros(5, dtype=torch.bool))
    assert result['auroc'].isnan() and result['fpr95'].isnan()


def test_points_have_to_divide_the_bins():
    with pytest.raises(ValueError, match='points 60'):
        ErrorDetection(Bins(0.0, 1.0), points=60)
