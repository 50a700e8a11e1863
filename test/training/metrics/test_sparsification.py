# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Sparsification curves and AUSE against their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from training.metrics.bins import Bins, MISCLASSIFIED_BINS, SQUARED_ERROR_BINS, VARIANCE_BINS
from training.metrics.sparsification import Sparsification


def of_errors(uncertainty: torch.Tensor, wrong: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = Sparsification(Bins(0.0, 1.0), MISCLASSIFIED_BINS)
    metric.update(uncertainty, wrong)
    return metric.compute()


def test_a_perfect_uncertainty_has_no_area():
    wrong = torch.tensor([False] * 30 + [True] * 10)
    assert float(of_errors(wrong.float(), wrong)['ause']) == pytest.approx(0.0, abs=1e-12)


def test_an_uncertainty_that_says_nothing_has_the_area_above_the_oracle():
    wrong = torch.tensor([False] * 30 + [True] * 10)
    result = of_errors(torch.full((40,), 0.5), wrong)
    assert result['error'].tolist() == pytest.approx([1.0] * 50)
    # The oracle of error rate e is (e - f)/(e·(1 - f)) up to f = e, then 0.
    e = 0.25
    assert float(result['ause']) == pytest.approx(-(1 - e) / e * math.log(1 - e), abs=1e-3)
    assert float(result['oracle'][5]) == pytest.approx((e - 0.1) / (e * 0.9))
    assert float(result['oracle'][13]) == pytest.approx(0.0, abs=1e-12)
    assert result['fraction'].tolist() == pytest.approx([k / 50 for k in range(50)])


def test_a_random_uncertainty_comes_near_the_one_that_says_nothing():
    torch.manual_seed(0)
    wrong = torch.rand(200_000) < 0.25
    result = of_errors(torch.rand(200_000), wrong)
    assert float(result['ause']) == pytest.approx(-3 * math.log(0.75), abs=0.02)


def test_a_reversed_uncertainty_is_worse_than_nothing():
    wrong = torch.tensor([False] * 30 + [True] * 10)
    constant = of_errors(torch.full((40,), 0.5), wrong)['ause']
    assert of_errors((~wrong).float(), wrong)['ause'] > constant


def test_depth_is_the_root_of_the_mean_of_what_remains():
    metric = Sparsification(VARIANCE_BINS, SQUARED_ERROR_BINS, root=True)
    metric.update(torch.full((4,), 0.1), torch.tensor([16.0, 0.0, 0.0, 0.0]))
    result = metric.compute()
    assert float(result['oracle'][0]) == 1.0
    # A tenth of the pixels removed takes 4/10 of the one error: 9.6 of 3.6 pixels, from 16 of 4.
    assert float(result['oracle'][5]) == pytest.approx(math.sqrt((9.6 / 3.6) / (16 / 4)))
    assert float(result['error'][5]) == pytest.approx(1.0)


def test_a_variance_that_orders_the_errors_has_no_area():
    torch.manual_seed(0)
    error = torch.rand(100_000).square() * 4.0
    metric = Sparsification(VARIANCE_BINS, SQUARED_ERROR_BINS, root=True)
    metric.update(error, error)
    assert float(metric.compute()['ause']) == pytest.approx(0.0, abs=1e-3)


def test_the_same_bits_in_every_order_and_nan_without_error():
    torch.manual_seed(1)
    u, error = torch.rand(999), torch.rand(999)
    whole, parts = (Sparsification(VARIANCE_BINS, SQUARED_ERROR_BINS, root=True)
                    for _ in range(2))
    whole.update(u, error)
    for chunk in torch.randperm(999).split(31):
        parts.update(u[chunk], error[chunk])
    for name, value in whole.compute().items():
        assert torch.equal(value, parts.compute()[name])
    assert of_errors(torch.rand(5), torch.zeros(5))['ause'].isnan()
