# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The last epochs with frozen batch norms: when, what stands still, and what goes on."""

from __future__ import annotations

from pathlib import Path

from emu_perception.checkpoint import load_checkpoint
import pytest
import torch
from torch import nn
from training.fit import fit
from training.methods.module import TrainingModule
from training.recipes.recipe import load_recipe, Recipe
from training.runs.callbacks import first_frozen_epoch
import yaml


def recipe_for(synthetic: Path, tmp_path: Path, *overrides: str) -> Recipe:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({
        'name': 'synthetic', 'input_size': [96, 128], 'batch_size': 2, 'epochs': 3,
        'network': {'encoder': 'resnet10t', 'head_dim': 16}, 'data': str(synthetic),
        'output': str(tmp_path), 'optimizer': {'learning_rate': 1e-3}}))
    return load_recipe(path, overrides)


@pytest.mark.parametrize(('share', 'epochs', 'first'), [
    (0.2, 100, 80), (0.07, 100, 93), (0.1, 3, 2), (1.0, 5, 0), (0.5, 5, 2), (0.0, 5, 5)])
def test_the_share_is_of_the_last_epochs_and_one_at_least(share, epochs, first):
    assert first_frozen_epoch(share, epochs) == first


@pytest.fixture
def steps(monkeypatch):
    """Return what each training step found: epoch, norms' modes, statistics and scales."""
    found = []
    step = TrainingModule.training_step

    def watched(self, batch, batch_index):
        norms = [part for part in self.network.modules() if isinstance(part, nn.BatchNorm2d)]
        found.append((self.current_epoch, {norm.training for norm in norms},
                      torch.cat([norm.running_mean for norm in norms]).clone(),
                      torch.cat([norm.weight for norm in norms]).detach().clone()))
        # Nothing else stands still: dropout and stochastic depth train on.
        assert self.network.training and self.network.head('segmentation').dropout.training
        return step(self, batch, batch_index)
    monkeypatch.setattr(TrainingModule, 'training_step', watched)
    return found


@pytest.mark.slow
@pytest.mark.parametrize('method', ['baseline', 'emuformer'])
def test_statistics_stand_still_in_the_last_epochs_and_scales_learn_on(
        synthetic, tmp_path, steps, method):
    """With a validation of the moving average, which swaps all buffers, after each epoch."""
    more = []
    if method == 'emuformer':
        teacher = fit(recipe_for(synthetic, tmp_path, 'epochs=1', 'name=teacher'), progress=False)
        more = [f'emuformer.teacher=[{teacher}]']
        assert steps[-1][1] == {True}, 'off, the norms must train'
        steps.clear()
    fit(recipe_for(synthetic, tmp_path, 'freeze_bn=0.5', 'ema_decay=0.5', f'method={method}',
                   *more), progress=False)
    assert [epoch for epoch, *_ in steps] == [0, 0, 1, 1, 2, 2]
    assert [modes for _, modes, *_ in steps] == [{True}] * 2 + [{False}] * 4
    means, scales = [found[2] for found in steps], [found[3] for found in steps]
    assert not torch.equal(means[0], means[1]) and not torch.equal(means[1], means[2])
    for mean in means[3:]:
        assert torch.equal(mean, means[2])
    assert not torch.equal(scales[4], scales[5])


@pytest.mark.slow
def test_a_run_that_is_resumed_among_its_frozen_epochs_is_the_one_without_a_stop(
        synthetic, tmp_path, power_cut):
    def recipe(name):
        return recipe_for(synthetic, tmp_path, f'name={name}', 'freeze_bn=0.5',
                          'ema_decay=0.5', 'validate_every=3')
    fit(recipe('straight'), progress=False)
    power_cut(recipe('cut'))
    fit(recipe('cut'), resume=True, progress=False)
    straight, resumed = (load_checkpoint(tmp_path / name / 'last.safetensors')[0].state_dict()
                         for name in ('straight', 'cut'))
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), f'{name} differs after resume'
