# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Equations 8 and 9 and the depth losses of Tables 9 and 10, by hand and against torch."""

from __future__ import annotations

import math

import pytest
from rounding import FEW, rounding
import torch
from torch.nn import functional as F
from training.losses.terms import (
    beta_gaussian_nll,
    depth_loss,
    depth_mean_l1,
    gaussian_nll,
    huber,
    kl_divergence,
    mean_squared_error,
    rmsle,
)
from training.recipes.sections import LossOptions


def test_kl_is_of_the_teacher_from_the_student_summed_over_classes():
    """KL(q || p), not KL(p || q): q = (.5, .5), p = (.25, .75) gives .5 ln 2 + .5 ln(2/3)."""
    q = torch.tensor([0.5, 0.5]).view(1, 2, 1, 1)
    logits = torch.tensor([0.25, 0.75]).log().view(1, 2, 1, 1)
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert float(kl_divergence(q, logits)) == pytest.approx(expected, abs=rounding(FEW))


def test_kl_is_torchs_own_and_pixels_can_be_chosen():
    q, logits = torch.randn(2, 5, 4, 6).softmax(1), torch.randn(2, 5, 4, 6)
    each = F.kl_div(logits.log_softmax(1), q, reduction='none').sum(1)
    bound = rounding(each.numel() + FEW, float(each.abs().max()))
    assert torch.allclose(kl_divergence(q, logits), each.mean(), rtol=0, atol=2 * bound)
    where = torch.rand(2, 4, 6) < 0.5
    assert torch.allclose(kl_divergence(q, logits, where), each[where].mean(), rtol=0,
                          atol=2 * bound)


def test_kl_to_a_teacher_that_is_certain_has_a_finite_gradient():
    q = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
    loss = kl_divergence(q, logits)
    loss.backward()
    assert float(loss) == pytest.approx(math.log(2)) and torch.isfinite(logits.grad).all()


def test_rmsle_is_one_root_for_the_whole_batch():
    teacher = torch.tensor([math.e - 1, 0.0]).view(2, 1, 1)
    student = torch.tensor([0.0, math.e**2 - 1]).view(2, 1, 1)
    # Differences 1 and -2: root of (1 + 4) / 2, not the mean (1 + 2) / 2 of a root for each image.
    assert float(rmsle(teacher, student)) == pytest.approx(
        math.sqrt(2.5), abs=rounding(FEW, 2))
    where = torch.tensor([True, False]).view(2, 1, 1)
    assert float(rmsle(teacher, student, where)) == pytest.approx(1.0, abs=rounding(FEW, 2))


def test_rmsle_at_equality_has_a_gradient_that_is_not_nan():
    variance = torch.full((1, 3, 3), 0.4, requires_grad=True)
    rmsle(torch.full((1, 3, 3), 0.4), variance).backward()
    assert torch.isfinite(variance.grad).all()


def test_the_teachers_mean_depth_is_compared_in_logarithms_where_it_is_known():
    """Differences 1 and -2 of log(d + 1); depths of 0, infinite ones and NaN do not count."""
    teacher = torch.tensor([math.e - 1, math.e - 1, 0.0, math.inf, math.nan]).view(1, 1, 5)
    student = torch.tensor([0.0, math.e**3 - 1, 7.0, 7.0, 7.0]).view(1, 1, 5).requires_grad_()
    loss = depth_mean_l1(teacher, student)
    loss.backward()
    assert float(loss) == pytest.approx(1.5, abs=rounding(FEW, 3))
    # Half of -1/(d + 1) and of 1/(d + 1): finite at 0, nothing where the teacher knows nothing.
    expected = torch.tensor([-0.5, 0.5 / math.e**3, 0, 0, 0]).view(1, 1, 5)
    assert torch.allclose(student.grad, expected, rtol=0, atol=rounding(FEW))
    where = torch.tensor([True, False, True, True, True]).view(1, 1, 5)
    assert float(depth_mean_l1(teacher, student, where)) == pytest.approx(
        1.0, abs=rounding(FEW, 3))


def test_distillation_where_no_pixel_counts_is_nothing():
    nowhere = torch.zeros(1, 2, 2, dtype=torch.bool)
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    variance = torch.rand(1, 2, 2, requires_grad=True)
    loss = kl_divergence(torch.rand(1, 3, 2, 2), logits, nowhere) + rmsle(
        torch.rand(1, 2, 2), variance, nowhere) + depth_mean_l1(
        torch.rand(1, 2, 2), variance, nowhere)
    loss.backward()
    assert float(loss) == 0.0 and not logits.grad.any() and not variance.grad.any()


def test_depth_losses_are_torchs_over_valid_pixels():
    mean, depth = 3 * torch.rand(2, 4, 5), 3 * torch.rand(2, 4, 5)
    variance = torch.rand(2, 4, 5) + 0.1
    depth[0, :2] = 0
    valid = depth > 0
    m, y, v = mean[valid], depth[valid], variance[valid]
    assert torch.allclose(mean_squared_error(mean, depth), F.mse_loss(m, y))
    assert torch.allclose(huber(mean, depth, 0.5), F.huber_loss(m, y, delta=0.5))
    assert torch.allclose(gaussian_nll(mean, variance, depth), F.gaussian_nll_loss(m, y, v))


def test_beta_nll_is_equation_6_at_0_and_has_the_gradient_of_mse_at_1():
    depth, variance = torch.rand(1, 3, 3) + 1, torch.rand(1, 3, 3) + 0.1
    mean = torch.rand(1, 3, 3, requires_grad=True)
    assert torch.allclose(beta_gaussian_nll(mean, variance, depth, 0.0),
                          gaussian_nll(mean, variance, depth))
    beta_gaussian_nll(mean, variance, depth, 1.0).backward()
    expected = (mean - depth).detach() / 9
    assert torch.allclose(mean.grad, expected, rtol=0, atol=rounding(FEW, 2 / 9))


@pytest.mark.parametrize('name', ['gnll', 'beta_nll', 'mse', 'huber'])
def test_options_choose_the_loss_and_its_constants(name):
    mean, variance, depth = torch.full((1, 1, 1), 1.0), torch.full((1, 1, 1), 4.0), \
        torch.full((1, 1, 1), 3.0)
    nll = 0.5 * (4 / 4 + math.log(4))
    expected = {'gnll': nll, 'beta_nll': nll * 4**0.25, 'mse': 4.0, 'huber': 0.5 * (2 - 0.25)}
    loss = depth_loss(LossOptions(depth=name, huber_delta=0.5, beta=0.25))
    assert float(loss(mean, variance, depth)) == pytest.approx(expected[name])
