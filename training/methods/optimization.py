# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""AdamW or SGD in groups, the learning-rate schedule of equation 12, and mixed precision."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception import precisions
import torch
from torch import nn

from ..recipes.registry import PRECISIONS
from ..recipes.sections import OptimizerRecipe


def parameter_groups(network: nn.Module, recipe: OptimizerRecipe) -> list[dict[str, object]]:
    """
    Sort parameters by learning rate (encoder, the rest times ``head_factor``) and decay.

    Norms and biases are the parameters of one dimension. What is added to a pretrained encoder, a
    pyramid or low-rank products, is of the rest.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 or recipe.decay_norms_and_biases
            pretrained = (name.startswith('encoder.') and not name.startswith('encoder.pyramid.')
                          and '.parametrizations.' not in name)
            groups.setdefault((pretrained, decays), []).append(parameter)
    return [{'params': parameters,
             'lr': recipe.learning_rate * (1.0 if encoder else recipe.head_factor),
             'weight_decay': recipe.weight_decay if decays else 0.0}
            for (encoder, decays), parameters in groups.items()]


def polynomial(step: int, total: int, power: float, warmup: int) -> float:
    """Return the factor of equation 12 after ``step`` of ``total`` steps, with linear warm-up."""
    decay = max(0.0, 1.0 - step / max(1, total)) ** power
    return decay * min(1.0, (step + 1) / warmup) if warmup > 0 else decay


def make_optimizer(network: nn.Module, recipe: OptimizerRecipe, total_steps: int,
                   more: Sequence[dict[str, object]] = (),
                   ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """
    Return the optimiser and its schedule, to be stepped after every batch.

    :param more: further groups, of parameters that are not the network's.
    """
    groups = [*parameter_groups(network, recipe), *more]
    optimizer: torch.optim.Optimizer
    if recipe.kind == 'sgd':
        optimizer = torch.optim.SGD(groups, momentum=recipe.momentum)
    else:
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: polynomial(step, total_steps, recipe.power, recipe.warmup_steps))
    return optimizer, schedule


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return what computes as a recipe's ``precision`` says, where Lightning does not."""
    return precisions.autocast(device, precisions.DTYPES[PRECISIONS[precision]])
