# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A training tells how it goes in a log, and what of its recipe will never come."""

from __future__ import annotations

import json
import logging
from pathlib import Path
import re
from types import SimpleNamespace

from emu_perception.checkpoint import load_checkpoint
from emu_perception.uncertainty import PredictiveMoments
import numpy as np
import pytest
from synthetic_data import FIELDS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch
from training.fit import main
from training.methods.validation_scores import ValidationScores
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe, Recipe
from training.runs.callbacks import _wrong, StopAfter
from training.runs.run_folder import epochs_done
from training.runs.telling import figures, Telling, warn_of_what_never_comes
import yaml


@pytest.fixture
def command(synthetic: Path, tmp_path: Path) -> list[str]:
    """Return the arguments of a short run; two batches an epoch."""
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'name': 'run', 'data': str(synthetic),
                                    'output': str(tmp_path), 'batch_size': 2}))
    return ['--recipe', str(path), '--no-progress']


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was told since it was asked for last."""
    found = [record.getMessage() for record in caplog.records if record.name == 'training']
    caplog.clear()
    return found


@pytest.mark.slow
def test_a_run_says_each_epoch_trains_on_and_ends_early_where_it_is_told_to(
        command, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, 'training')
    with monkeypatch.context() as patch:
        patch.setattr('training.fit.StopAfter', lambda seconds: StopAfter(0.0))
        assert main([*command, 'epochs=2', 'validate_every=2', 'max_minutes=1']) == 0
    told = lines(caplog)
    assert any(re.match(r'epoch 1/2: loss [\d.]+; learning rate [\d.e-]+; [\d.]+ s, \d+:\d\d:\d\d '
                        'left', line) for line in told), told
    assert 'max_minutes is up after 1 of 2 epochs: the same command with --resume goes on' in told
    assert any(line.startswith('1 of 2 epochs done') for line in told), told

    assert main([*command, 'epochs=2', 'validate_every=2', '--resume']) == 0
    told = lines(caplog)
    assert any(re.search(r'epoch 2/2: .*; val .*miou [\d.]+.*ece .*nll .*; best score [\d.]+ of '
                         'epoch 2; ', line) for line in told), told
    assert any(re.match('2 of 2 epochs done; best, epoch 2: val .*rmse .*; last, epoch 2: val',
                        line) for line in told), told

    # Longer than it was asked for, with no score that is better than 3.
    monkeypatch.setattr('training.methods.module.TrainingModule.validation_values',
                        lambda self: ({'val/rmse': 1.0}, 3.0))
    assert main([*command, 'epochs=1', 'validate_every=2', '--resume']) == 1, 'it has 2'
    assert main([*command, 'epochs=9', 'validate_every=2', 'early_stopping=1', '--resume']) == 0
    told = lines(caplog)
    assert any('epochs was 2 and is 9 now' in line for line in told), told
    assert any('best score 3 of epoch 4' in line for line in told), told
    assert epochs_done(tmp_path / 'run') == 6, 'epoch 4 is better than epoch 2, epoch 6 is not'
    assert json.loads((tmp_path / 'run/finished.json').read_text()) == {'epochs': 6}
    # Said again, as a scheduler's script does, it adds no epoch; more patience goes on, and what
    # the clock then ends has not ended by its score.
    patient = [*command, 'epochs=9', 'validate_every=2', '--resume']
    best = load_checkpoint(tmp_path / 'run/best.safetensors')[0].state_dict()
    assert main([*patient, 'early_stopping=1']) == 0 and epochs_done(tmp_path / 'run') == 6
    assert any('no epoch is added; early_stopping=N above 1' in line for line in lines(caplog))
    assert json.loads((tmp_path / 'run/finished.json').read_text()) == {'epochs': 6}
    again = load_checkpoint(tmp_path / 'run/best.safetensors')[0].state_dict()
    assert all(tensor.equal(again[name]) for name, tensor in best.items())
    with monkeypatch.context() as patch:
        patch.setattr('training.fit.StopAfter', lambda seconds: StopAfter(0.0))
        assert main([*patient, 'early_stopping=5', 'max_minutes=1']) == 0
    assert epochs_done(tmp_path / 'run') == 7
    assert not (tmp_path / 'run/finished.json').exists(), 'ensemble would leave it at that'
    events = EventAccumulator(str(tmp_path / 'run/tensorboard'))
    events.Reload()
    assert {'train/learning_rate', 'val/ece', 'val/nll', 'val/depth_nll'} <= set(
        events.Tags()['scalars'])


@pytest.mark.parametrize(('overrides', 'words'), [
    (['optimizer.warmup_steps=40'], 'warmup_steps'), (['validate_every=9'], 'none is validated'),
    (['early_stopping=5'], 'it never comes'),
    (['early_stopping=1', 'validate_every=4'], 'it never comes'),
    (['optimizer.warmup_steps=39', 'validate_every=8', 'early_stopping=0'], ''),
    (['early_stopping=2', 'validate_every=2'], '')])
def test_what_never_comes_is_warned_of_at_the_start(tmp_path, caplog, overrides, words):
    (tmp_path / 'recipe.yaml').write_text('data: somewhere\nepochs: 8\n')
    recipe = load_recipe(tmp_path / 'recipe.yaml',
                         ['epochs=5' if 'early_stopping=5' in overrides else 'epochs=8',
                          *overrides])
    warn_of_what_never_comes(recipe, 5)
    if words:
        assert any(words in record.getMessage() for record in caplog.records), caplog.text
    else:
        assert not caplog.records, caplog.text


@pytest.mark.parametrize('chooses, best', [(True, 1), (False, 2)])
def test_the_best_is_that_which_is_exported(chooses, best):
    telling = Telling(chooses=chooses)
    for epoch, score in enumerate((0.5, 0.5)):
        telling.on_validation_end(SimpleNamespace(
            callback_metrics={'val/score': score}, current_epoch=epoch), None)
    assert telling.best['epoch'] == best


@pytest.mark.parametrize('first_is_late', [True, False])
def test_all_processes_stop_by_the_clock_of_the_first(first_is_late):
    """One that stopped alone would have the others wait for ever."""
    strategy = SimpleNamespace(broadcast=lambda own: first_is_late)
    trainer = SimpleNamespace(strategy=strategy, current_epoch=0, max_epochs=9, should_stop=False)
    StopAfter(0.0 if not first_is_late else 1e6).on_train_epoch_end(trainer, None)
    assert trainer.should_stop == first_is_late


def test_early_stopping_needs_something_to_validate_by(tmp_path):
    (tmp_path / 'recipe.yaml').write_text('data: somewhere\ntrain_on: train+val\n'
                                          'early_stopping: 2\n')
    with pytest.raises(RecipeError, match='early_stopping.*nothing to validate by'):
        load_recipe(tmp_path / 'recipe.yaml')
    assert Recipe().early_stopping == 0


def test_validation_scores_are_those_of_every_fourth_row_and_column():
    """Hand-computed: two classes, sure by 0.8 everywhere, right in half of the pixels."""
    p = torch.zeros(1, 2, 8, 8)
    p[:, 0], p[:, 1] = 0.8, 0.2
    label = torch.full((1, 8, 8), 255, dtype=torch.uint8)
    label[0, 0, 0], label[0, 4, 4], label[0, 1, 1] = 0, 1, 1
    depth = torch.zeros(1, 8, 8)
    depth[0, 4, 0] = 2.0
    scores = ValidationScores(torch.device('cpu'), labels=True, depth=True)
    moments = PredictiveMoments(p, torch.full((1, 8, 8), 3.0), torch.full((1, 8, 8), 4.0))
    scores.update(moments, {'label': label, 'depth': depth})
    found = scores.values()
    assert found['val/ece'] == pytest.approx(0.3, abs=1e-6)
    assert found['val/nll'] == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2, rel=1e-6)
    assert found['val/depth_nll'] == pytest.approx(
        0.5 * (1 / 4 + np.log(4) + np.log(2 * np.pi)), rel=1e-6)
    nothing = ValidationScores(torch.device('cpu'), labels=True, depth=True)
    nothing.update(moments, {'label': torch.full_like(label, 255), 'depth': depth * 0})
    assert nothing.values() == {}, 'no NaN in a curve or a checkpoint'


def test_wrong_pixels_are_red_and_unlabelled_ones_are_not():
    image = np.full((4, 6, 3), 90, np.uint8)
    truth = torch.tensor([[0, 1, 255]], dtype=torch.uint8).repeat(2, 1)
    tile = _wrong(torch.zeros_like(truth), truth, image)
    assert tile.shape == (2, 3, 3) and tile[0].tolist() == [[30] * 3, [255, 60, 60], [30] * 3]


def test_figures_are_read_by_people():
    assert figures({'val/miou': 0.123456, 'val/score': 1.0, 'val/pixels': 9.0, 'epoch': 3}) == (
        'val miou 0.1235')
