# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Losses, metrics and the optimiser against values computed by hand or by torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training.losses import cross_entropy, gaussian_nll
from training.metrics.depth import DepthErrors
from training.metrics.segmentation import ConfusionMatrix
from training.optimization import make_optimizer, parameter_groups, polynomial
from training.recipe import OptimizerRecipe


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
    assert float(gaussian_nll(mean, variance, depth)) == pytest.approx(by_hand, abs=1e-6)


def test_batches_without_truth_give_zero_with_a_zero_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    mean = torch.rand(1, 4, 4, requires_grad=True)
    variance = torch.ones(1, 4, 4)
    loss = (cross_entropy(logits, torch.full((1, 4, 4), 255)) +
            gaussian_nll(mean, variance, torch.zeros(1, 4, 4)))
    loss.backward()
    assert float(loss) == 0.0 and not logits.grad.any() and not mean.grad.any()


def test_miou_leaves_out_absent_classes_and_void():
    metric = ConfusionMatrix(4)
    label = torch.tensor([0, 0, 1, 1, 255, 0])
    guess = torch.tensor([0, 1, 1, 1, 2, 3])
    metric.update(guess, label)
    result = metric.compute()
    # Class 0: 1 hit of union {0,0,0} = 3; class 1: 2 hits, union 3. Classes 2, 3 do not occur.
    assert float(result['miou']) == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert int(result['classes_counted']) == 2
    assert float(result['pixel_accuracy']) == pytest.approx(3 / 5)
    assert metric.iou()[2:].isnan().all()


def test_depth_errors_by_hand_and_invalid_pixels_ignored():
    metric = DepthErrors()
    metric.update(torch.tensor([2.0, 1.0, 3.0, 0.0, 50.0]),
                  torch.tensor([2.0, 2.0, 4.0, 1.0, 0.0]))
    result = {name: float(value) for name, value in metric.compute().items()}
    assert result['rmse'] == pytest.approx(math.sqrt((0 + 1 + 1 + 1) / 4))
    assert result['abs_rel'] == pytest.approx((0 + 0.5 + 0.25 + 1.0) / 4)
    # Ratios 1, 2, 1.333, inf against 1.25, 1.5625, 1.953.
    assert (result['delta1'], result['delta2'], result['delta3']) == (0.25, 0.5, 0.5)
    assert result['pixels'] == 4


def test_metrics_do_not_depend_on_order_or_chunks():
    torch.manual_seed(1)
    label, guess = torch.randint(0, 6, (999,)), torch.randint(0, 6, (999,))
    whole, parts = ConfusionMatrix(6), ConfusionMatrix(6)
    whole.update(guess, label)
    for chunk in torch.randperm(999).split(100):
        parts.update(guess[chunk], label[chunk])
    assert (whole.counts == parts.counts).all()


class Toy(nn.Module):

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 4, 3)
        self.heads = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))


def test_heads_learn_faster_and_norms_are_not_decayed_when_asked():
    recipe = OptimizerRecipe(learning_rate=1e-3, head_factor=10, weight_decay=0.1,
                             decay_norms_and_biases=False)
    toy = Toy()
    where = {id(p): group for group in parameter_groups(toy, recipe) for p in group['params']}
    assert where[id(toy.encoder.weight)]['lr'] == pytest.approx(1e-3)
    assert where[id(toy.heads[0].weight)]['lr'] == pytest.approx(1e-2)
    assert where[id(toy.heads[0].weight)]['weight_decay'] == 0.1
    for parameter in (toy.encoder.bias, toy.heads[0].bias, toy.heads[1].weight):
        assert where[id(parameter)]['weight_decay'] == 0.0
    assert len(where) == len(list(toy.parameters())), 'a parameter is in no group'


def test_schedule_is_equation_12_with_warm_up():
    assert polynomial(0, 100, 0.9, 0) == 1.0
    assert polynomial(50, 100, 0.9, 0) == pytest.approx(0.5**0.9)
    assert polynomial(100, 100, 0.9, 0) == 0.0
    assert polynomial(0, 100, 0.9, 10) == pytest.approx(0.1)
    _, schedule = make_optimizer(Toy(), OptimizerRecipe(learning_rate=1.0, head_factor=1.0), 4)
    rates = []
    for _ in range(4):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    assert rates == pytest.approx([(1 - i / 4)**0.9 for i in range(4)])
