# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Training steps in both layouts, for training.benchmark."""

from __future__ import annotations

from collections.abc import Callable
import copy
from typing import Any

import torch

from ..methods.baseline import Baseline
from ..methods.emuformer import EMUFormer
from ..methods.ensemble import Ensemble
from ..methods.module import TrainingModule
from ..methods.optimization import autocast, make_optimizer
from ..methods.parts import Parts
from ..recipes.recipe import Recipe
from ..recipes.registry import PRECISIONS
from ..recipes.sections import OptimizerRecipe
from ..runs.building import normalization
from ..runs.finetuning import restrict
from .published import as_published, published
from .synthetic_models import synthetic_batch, synthetic_network


def training_step(module: TrainingModule, recipe: OptimizerRecipe, precision: str,
                  batch: dict[str, torch.Tensor]) -> Callable[[], float]:
    """Return a function that trains one step and returns the loss, when all is done."""
    module.train()
    device = batch['image'].device
    optimizer, schedule = make_optimizer(module.network, recipe, 1_000_000)
    scaler = torch.amp.GradScaler(device.type, enabled=PRECISIONS[precision] == 'fp16')

    def step() -> float:
        with autocast(precision, device):
            loss = torch.stack(list(module.losses(batch).values())).sum()
        scaler.scale(loss).backward()
        if recipe.gradient_clip:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(module.network.parameters(),
                                           recipe.gradient_clip)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        schedule.step()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return float(loss.detach())
    return step


def layouts(module: Callable[[bool], TrainingModule], recipe: Recipe,
            batch: dict[str, torch.Tensor]) -> dict[str, Callable[[], Any]]:
    """
    Return a step of both layouts.

    :param module: of its argument: whether network and teachers are in the published layout.
    """
    return {name: training_step(module(plain), recipe.optimizer, recipe.precision, batch)
            for name, plain in (('ours', False), ('published', True))}


def steps(recipe: Recipe, classes: int, teacher: Ensemble | None,
          device: torch.device) -> dict[str, Callable[[], Any]]:
    """Return a training step of both layouts, of a baseline or of a student with a teacher."""
    batch = synthetic_batch(recipe.batch_size, recipe.view_size, classes, device)
    mean, std = normalization(recipe.network.encoder)
    network = synthetic_network(recipe, 'baseline', classes)

    def module(plain: bool) -> TrainingModule:
        own = as_published(network) if plain else copy.deepcopy(network)
        restrict(own, recipe.finetune)
        if teacher is None:
            return Baseline(own, recipe, Parts(mean, std)).to(device)
        teachers = published(teacher) if plain else teacher
        return EMUFormer(own, recipe, Parts(mean, std, teacher=teachers, classes=teacher.classes)
                         ).to(device)
    return layouts(module, recipe, batch)
