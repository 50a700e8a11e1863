# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Likelihood and interval coverage of depth by hand and against torch.distributions."""

from __future__ import annotations

import math

from emu_perception.networks.depth_forms import DEPTH_FORMS
import pytest
import torch
from training.metrics.gaussian_scores import GaussianScores


def scores(mean: torch.Tensor, variance: torch.Tensor,
           depth: torch.Tensor) -> dict[str, torch.Tensor]:
    metric = GaussianScores()
    metric.update(mean, variance, depth)
    return metric.compute()


def test_nll_is_that_of_the_density_over_valid_pixels():
    torch.manual_seed(0)
    mean, variance = torch.rand(5, 7) * 4, torch.rand(5, 7) + 0.1
    depth = torch.rand(5, 7) * 4 + 0.1
    expected = -torch.distributions.Normal(mean, variance.sqrt()).log_prob(depth)
    depth[0] = 0.0
    assert float(scores(mean, variance, depth)['nll']) == pytest.approx(
        float(expected[1:].mean()), rel=1e-5)


def test_coverage_by_hand():
    # |z| = 0, 1, 2, 3 against 0.674, 1.282, 1.645 and 1.960.
    result = scores(torch.tensor([5.0, 5.0, 5.0, 5.0]), torch.full((4,), 0.25),
                    torch.tensor([5.0, 5.5, 4.0, 6.5]))
    assert [float(result[f'coverage_{p}']) for p in (50, 80, 90, 95)] == [0.25, 0.5, 0.5, 0.5]


def test_calibration_error_of_intervals_that_hold_everything_or_nothing():
    depth = torch.full((9,), 2.0)
    wide = scores(depth, torch.full((9,), 1e6), depth)
    assert float(wide['calibration_error']) == pytest.approx(0.5)
    narrow = scores(depth + 1.0, torch.full((9,), 1e-6), depth)
    assert float(narrow['calibration_error']) == pytest.approx(0.5)
    assert narrow['observed'].tolist() == [0.0] * 19


def test_a_right_gaussian_is_calibrated():
    torch.manual_seed(0)
    sigma = torch.rand(200_000) * 0.5 + 0.1
    depth = 10.0 + sigma * torch.randn(200_000)
    result = scores(torch.full((200_000,), 10.0), sigma.square(), depth)
    assert float(result['calibration_error']) < 0.003
    assert result['nominal'].tolist() == pytest.approx([0.05 * k for k in range(1, 20)])


def test_the_same_bits_in_every_order_and_nan_of_nothing():
    torch.manual_seed(1)
    mean, variance, depth = torch.rand(300), torch.rand(300) + 1e-3, torch.rand(300) + 0.1
    parts = GaussianScores()
    for chunk in torch.randperm(300).split(17):
        parts.update(mean[chunk], variance[chunk], depth[chunk])
    for name, value in scores(mean, variance, depth).items():
        assert torch.equal(value, parts.compute()[name])
    empty = scores(mean, variance, torch.zeros(300))
    assert empty['nll'].isnan() and empty['coverage_50'].isnan()


def test_a_log_normal_has_its_likelihood_in_metres_and_its_own_intervals():
    """So that forms compare: the same data in other units of its logarithm would not."""
    torch.manual_seed(0)
    depth, relative = (torch.rand(4000).double() * 4 + 0.5 for _ in range(2))
    relative = 0.1 * relative
    truth = (depth.log() + relative * torch.randn(4000)).exp()
    metric = GaussianScores(DEPTH_FORMS['log'])
    metric.update(depth, (relative * depth).square(), truth)
    found = metric.compute()
    law = torch.distributions.LogNormal(depth.log(), relative)
    assert float(found['nll']) == pytest.approx(-float(law.log_prob(truth).mean()), abs=1e-6)
    inside = (2 * law.cdf(truth) - 1).abs() <= 0.9
    assert float(found['coverage_90']) == pytest.approx(float(inside.double().mean()), abs=1e-9)
    # What is log-normal fits a Gaussian of the same sigma in metres less.
    gaussian = scores(depth, (relative * depth).square(), truth)
    assert float(found['nll']) < float(gaussian['nll'])


def test_a_variance_of_zero_or_nan_is_not_hidden():
    one = torch.ones(1)
    assert math.isfinite(float(scores(one, torch.zeros(1), one + 0.1)['nll']))
    bad = scores(one, torch.full((1,), math.nan), one)
    assert bad['nll'].isnan() and float(bad['coverage_95']) == 0.0
