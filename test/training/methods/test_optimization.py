# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of parameters and the schedule of the learning rate."""

from __future__ import annotations

import pytest
from torch import nn
from training.methods.optimization import make_optimizer, parameter_groups, polynomial
from training.recipes.sections import OptimizerRecipe


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
