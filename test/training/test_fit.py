# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The whole training slice on made rooms: it learns, resumes, and writes usable checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.predictor import Predictor
from training import evaluate, export
from training.data.dataset_folder import DatasetFolder
from training.evaluate import Scores, trivial
from training.fit import fit, main
from training.methods.module import TrainingModule
from training.recipe import load_recipe, Recipe

FIELDS = {
    'name': 'made', 'input_size': [96, 128], 'batch_size': 4,
    'network': {'encoder': 'resnet10t', 'head_dim': 32, 'context': 'pyramid_pooling'},
    'augmentation': {'scale': [1.0, 1.0]},
    'optimizer': {'learning_rate': 2e-3, 'head_factor': 2.0, 'gradient_clip': 5.0,
                  'decay_norms_and_biases': False}}


def recipe_for(made: Path, tmp_path: Path, *overrides: str) -> Recipe:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(made), 'output': str(tmp_path)}))
    return load_recipe(path, overrides)


@pytest.mark.slow
def test_it_overfits_four_images(made, tmp_path):
    """Above .8 mIoU and under 0.2 m: neither head is dead, depth does not sit at a constant."""
    recipe = recipe_for(made, tmp_path, 'epochs=150', 'validate_every=75', 'ema_decay=0.9')
    best = fit(recipe, progress=False)
    folder = DatasetFolder(made)
    result = evaluate.evaluate(best, folder, folder.stems('train'), device='cpu', progress=False)
    assert result['segmentation']['miou'] > 0.8, result
    assert result['depth']['rmse'] < 0.2, result
    # The variance has learned where it is wrong less: no constant.
    prediction = Predictor.load(best, 'cpu')(folder.image('000'), fx=110.0)
    assert prediction.depth_variance.std() > 0.01 * prediction.depth_variance.mean()
    metadata = read_metadata(best)
    assert metadata.classes == ('wall', 'floor', 'box') and metadata.intrinsics.fx == 110.0
    means = [Predictor.load(best, 'cpu')(folder.image(stem), fx=110.0)
             for stem in folder.stems('val')]
    expected = np.percentile([m.mean_depth_sigma for m in means], recipe.risk_percentile)
    assert metadata.calibration.risk_depth == pytest.approx(expected, rel=1e-4)


def test_resume_continues_as_if_never_stopped(made, tmp_path, monkeypatch):
    def recipe(name):
        return recipe_for(made, tmp_path, 'epochs=3', f'name={name}', 'ema_decay=0.5',
                          'augmentation.scale=[0.7, 1.5]')
    fit(recipe('straight'), progress=False)

    step = TrainingModule.training_step

    def power_cut(self, batch, batch_index):
        if self.current_epoch == 2:
            raise RuntimeError('power cut')
        return step(self, batch, batch_index)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, 'training_step', power_cut)
        with pytest.raises(RuntimeError, match='power cut'):
            fit(recipe('cut'), progress=False)
    fit(recipe('cut'), resume=True, progress=False)
    straight, _ = load_checkpoint(tmp_path / 'straight/last.safetensors')
    resumed, _ = load_checkpoint(tmp_path / 'cut/last.safetensors')
    for (name, one), two in zip(straight.state_dict().items(), resumed.state_dict().values(),
                                strict=True):
        assert torch.equal(one, two), f'{name} differs after resume'


@pytest.mark.parametrize('tasks', ['segmentation', 'depth'])
def test_single_task_networks_train_and_leave_the_other_out(made, tmp_path, tasks):
    best = fit(recipe_for(made, tmp_path, 'epochs=1', f'network.tasks=[{tasks}]'), progress=False)
    prediction = Predictor.load(best, 'cpu')(DatasetFolder(made).image('000'))
    assert (prediction.label is None) == (tasks == 'depth')
    assert (prediction.depth is None) == (tasks == 'segmentation')


def test_a_loss_that_is_not_finite_stops_with_the_batch_named(made, tmp_path, capsys):
    recipe_for(made, tmp_path)
    code = main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', 'epochs=5',
                 'optimizer.learning_rate=1', 'optimizer.head_factor=1000000',
                 'optimizer.gradient_clip=0'])
    message = capsys.readouterr().err
    assert code == 1 and 'samples [' in message and 'learning_rate' in message, message


@pytest.mark.parametrize(('override', 'words'), [
    ('data=/no/such/folder', ('/no/such/folder', 'no such data set folder')),
    ('network.encoder=resnet_of_dreams', ('resnet_of_dreams',)),
    ('network.initial_weights=/no/weights.pth', ('/no/weights.pth', 'cannot be read')),
    ('network.tasks=[flow]', ('tasks', 'flow')),
    ('batch_size=64', ('batch_size', '64', 'train.txt')),
])
def test_what_is_wrong_ends_before_training_with_one_line(made, tmp_path, capsys, override, words):
    recipe_for(made, tmp_path)
    code = main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', override])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert code == 1 and len(lines) == 1
    for word in words:
        assert word in lines[0]


def test_resume_without_a_run_says_so(made, tmp_path, capsys):
    recipe_for(made, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--resume', 'epochs=1']) == 1
    assert '--resume' in capsys.readouterr().err


def test_scores_of_the_truth_itself_are_perfect_and_trivial_is_not(made):
    folder = DatasetFolder(made)
    scores = Scores(3)
    for stem in folder.stems('val'):
        sample = folder.sample(stem)
        scores.add(np.where(sample.label == 255, 0, sample.label), sample.depth, sample.label,
                   sample.depth)
    result = scores.compute()
    assert result['segmentation']['miou'] == 1.0 and result['depth']['rmse'] == 0.0
    baseline = trivial(folder, folder.stems('val'), progress=False)
    assert baseline['segmentation']['miou'] < 0.5 and baseline['depth']['rmse'] > 0.1


def test_exported_model_carries_its_metrics_and_a_card_that_agrees(made, tmp_path):
    best = fit(recipe_for(made, tmp_path, 'epochs=1'), progress=False)
    metrics = tmp_path / 'val.json'
    assert evaluate.main(['--checkpoint', str(best), '--data', str(made), '--json', str(metrics),
                          '--trivial', '--device', 'cpu']) == 0
    out = tmp_path / 'models/small.safetensors'
    assert export.main(['--checkpoint', str(best), '--metrics', str(metrics),
                        '--out', str(out)]) == 0
    assert out.stat().st_size < 0.6 * best.stat().st_size, 'float16 must halve the file'
    metadata = read_metadata(out)
    measured = json.loads(metrics.read_text())
    assert metadata.metrics == measured
    card = out.with_suffix('.md').read_text()
    assert f"{measured['depth']['rmse']:.3f}" in card
    assert f"{measured['trivial']['segmentation']['miou']:.3f}" in card
    image = DatasetFolder(made).image('000')
    full, half = (Predictor.load(path, 'cpu')(image, fx=110.0) for path in (best, out))
    assert np.allclose(full.depth, half.depth, rtol=0.02)


def test_export_refuses_the_metrics_of_another_checkpoint(made, tmp_path, capsys):
    best = fit(recipe_for(made, tmp_path, 'epochs=1'), progress=False)
    (tmp_path / 'm.json').write_text('{"checkpoint": "other.safetensors"}')
    assert export.main(['--checkpoint', str(best), '--metrics', str(tmp_path / 'm.json'),
                        '--out', str(tmp_path / 'x.safetensors')]) == 1
    assert 'other.safetensors' in capsys.readouterr().err
