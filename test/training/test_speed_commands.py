# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""training.benchmark compares equals; training.precision says what evaluate says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from emu_perception.checkpoint import CheckpointMetadata, Intrinsics, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
import numpy as np
import pytest
import torch
from training import benchmark, precision
from training.data.dataset_folder import DatasetFolder, Example
from training.evaluation.measuring import evaluate
from training.methods.ensemble import Ensemble
import yaml

SIZE = (96, 128)
LAYOUTS = {'ours', 'published'}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / 'small.yaml'
    path.write_text(yaml.safe_dump({
        'name': 'small', 'input_size': [64, 96], 'batch_size': 2,
        'network': {'encoder': 'resnet10t', 'head_dim': 16, 'head_dropout': 0.2},
        'emuformer': {'teacher': ['none'], 'jitter': [0, 0, 0, 0]},
        'optimizer': {'gradient_clip': 1.0}}))
    return path


def run(recipe: Path, tmp_path: Path, *arguments: str) -> dict:
    out = tmp_path / 'out' / 'speed.json'
    assert benchmark.main(['--recipe', str(recipe), '--rounds', '1', '--classes', '3',
                           '--device', 'cpu', '--teachers', '3', '--json', str(out),
                           *arguments]) == 0
    return json.loads(out.read_text())


@pytest.mark.slow
@pytest.mark.parametrize('what', benchmark.STEPS)
def test_a_step_of_both_layouts_begins_with_the_same_loss(recipe, tmp_path, capsys, what):
    result = run(recipe, tmp_path, '--what', what, 'network.head_dropout=0')
    found = result['results'][what]
    assert set(found['rows']) == LAYOUTS and found['difference_of_the_first_result'] < 1e-4
    assert found['rows']['ours']['images_per_s'] == pytest.approx(
        2e3 / found['rows']['ours']['median_ms'])
    assert found.get('teachers') == (3 if what == 'distill' else None)
    assert result['batch'] == 2 and 'head_dropout=0' in result['command']
    assert what in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('what', benchmark.ENSEMBLES)
def test_an_ensemble_of_both_layouts_gives_the_same_moments(recipe, tmp_path, capsys, what):
    """But Monte Carlo dropout, whose samples are others: test_shared_samples.py compares them."""
    found = run(recipe, tmp_path, '--what', what)['results'][what]
    assert set(found['rows']) == {'one', *LAYOUTS} and found['samples'] == 3
    difference = found['difference_of_the_first_result']
    assert (difference is None) == what.endswith('dropout') and (difference or 0) < 1e-4
    assert found['times_one_network'] == pytest.approx(
        found['rows']['ours']['median_ms'] / found['rows']['one']['median_ms'])


@pytest.mark.slow
def test_the_published_side_really_runs_the_published_heads(recipe, tmp_path, monkeypatch, capsys):
    from emu_perception.networks.mlp_head import MLPHead
    calls = []
    plain = MLPHead.forward_published
    monkeypatch.setattr(MLPHead, 'forward_published',
                        lambda head, features: calls.append(1) or plain(head, features))
    run(recipe, tmp_path, '--what', 'ensemble')
    # Two heads of three members: once to compare, three times to warm up, once measured.
    assert len(calls) == 2 * 3 * 5
    calls.clear()
    run(recipe, tmp_path, '--what', 'distill')
    assert len(calls) == 2 * (3 + 1) * 5  # The student's heads too.


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--what', 'magic'], ["'magic'", 'step']), (['--teachers', '0'], ['--teachers is 0']),
    (['precision=64-true'], ["'64-true'", '32-true']),
    (['network.family=deeplab'], ["'network.family' is 'deeplab'", 'all_mlp'])])
def test_what_cannot_be_measured_is_one_line(recipe, capsys, arguments, words):
    assert benchmark.main(['--recipe', str(recipe), '--device', 'cpu', *arguments]) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('error: ') and all(word in message for word in words)


def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = MultitaskNetwork('resnet10t', num_classes=3, head_dim=16).eval()
    network.initialize_depth(2.0, 0.5)
    with torch.no_grad():
        network.head('segmentation').classifier.weight.mul_(20)
    save_checkpoint(tmp_path / 'a.safetensors', network, CheckpointMetadata(
        architecture=network.arguments, input_size=SIZE, classes=('wall', 'floor', 'box'),
        palette=((1, 2, 3),) * 3, intrinsics=Intrinsics(128, 96, 110.0, 110.0, 64.0, 48.0)))
    return tmp_path / 'a.safetensors'


def test_precision_says_what_evaluate_says_and_what_bf16_loses(synthetic, tmp_path, capsys):
    path, out = checkpoint(tmp_path), tmp_path / 'precision.json'
    assert precision.main(['--checkpoint', str(path), '--data', str(synthetic), '--device', 'cpu',
                           '--json', str(out), '--no-progress']) == 0
    result = json.loads(out.read_text())
    full, half = result['precisions']['fp32'], result['precisions']['bf16']
    folder = DatasetFolder(synthetic)
    expected = evaluate(Ensemble([path]), folder, folder.stems('val'), progress=False)
    # A label in a thousand may flip, where two classes are as likely.
    assert full['miou'] == pytest.approx(expected['segmentation']['miou'], abs=1e-3)
    assert full['ece'] == pytest.approx(expected['segmentation']['ece'], abs=1e-3)
    assert full['rmse_m'] == pytest.approx(expected['depth']['rmse'], abs=1e-4)
    assert full['depth_nll'] == pytest.approx(expected['depth']['nll'], abs=1e-3)
    assert half != full and half['rmse_m'] == pytest.approx(full['rmse_m'], rel=0.05)
    assert result['images'] == 2 and result['seen_in_training'] is False
    assert 'bf16: ' in capsys.readouterr().out


def test_precisions_of_images_that_were_trained_on_say_so(synthetic, saved, tmp_path, caplog):
    path = saved(provenance={'data_set': 'synthetic', 'split': 'train+val'})
    out = tmp_path / 'precision.json'
    assert precision.main(['--checkpoint', str(path), '--data', str(synthetic), '--device', 'cpu',
                           '--precisions', 'fp32', '--limit', '1', '--json', str(out),
                           '--no-progress']) == 0
    assert json.loads(out.read_text())['seen_in_training'] is True
    assert f'{path}: was trained on these images' in caplog.text


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--precisions', 'fp64'], ["'fp64'", 'bf16']), (['--limit', '0'], ['--limit is 0'])])
def test_a_precision_that_is_none_is_one_line(synthetic, tmp_path, capsys, arguments, words):
    assert precision.main(['--checkpoint', str(checkpoint(tmp_path)), '--data', str(synthetic),
                           *arguments]) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('error: ') and all(word in message for word in words)


def test_no_depth_that_is_known_is_no_error_of_0_metres():
    maps = {'depth': np.full((4, 6), 2.0, np.float32), 'depth_variance': np.ones((4, 6))}
    prediction = SimpleNamespace(label=None, timing_ms={}, scores={'depth_sigma': 1.0}, **maps)
    for depth, measured in ((0.0, False), (2.5, True)):
        score = precision.Score(0, 10.0)
        score.add(prediction, Example('x', np.zeros((4, 6, 3), np.uint8), None,
                                      np.full((4, 6), depth, np.float32)))
        assert ('rmse_m' in score.figures()) == measured
