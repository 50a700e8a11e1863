# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The whole training slice on synthetic rooms: it learns, resumes and writes checkpoints."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
import subprocess
import sys

import cv2
from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.scores import fitted_scores
import numpy as np
import pytest
from synthetic_data import make_dataset
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch
from training import export
from training import fit as fit_module
from training.calibrate import calibrate
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.data.examples import ExampleCache
from training.evaluate import main as evaluate_main
from training.evaluation.measuring import evaluate, trivial
from training.fit import fit, main
from training.methods.ensemble import Ensemble
from training.recipes.recipe import load_recipe, Recipe
from training.runs.building import depth_statistics
from training.runs.callbacks import StopAfter
from training.runs.state_files import KeptState
import yaml

FIELDS = {
    'name': 'synthetic', 'input_size': [96, 128], 'batch_size': 4,
    'network': {'encoder': 'resnet10t', 'head_dim': 32, 'context': 'pyramid_pooling'},
    'augmentation': {'scale': [1.0, 1.0]},
    'optimizer': {'learning_rate': 2e-3, 'head_factor': 2.0, 'gradient_clip': 5.0,
                  'decay_norms_and_biases': False}}


def recipe_for(synthetic: Path, tmp_path: Path, *overrides: str) -> Recipe:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(synthetic), 'output': str(tmp_path)}))
    return load_recipe(path, overrides)


def measured(paths, folder, method='auto'):
    """Return the metrics on the training images, and the spread of the variance on one."""
    ensemble = Ensemble(paths, method=method)
    result = evaluate(ensemble, folder, folder.stems('train'), progress=False)
    variance = ensemble.predict(folder.image('000')).depth_variance
    return result, float(variance.std() / variance.mean())


class BestAlone(KeptState):
    """No last state: at one step an epoch writing it takes longer than the step."""

    def __init__(self, *args, **fields):
        rarely = {} if fields.get('monitor') else {'every_n_epochs': 10 ** 6}
        super().__init__(*args, **fields, **rarely)


def overfit(recipe):
    """Train for many epochs of one step each; return the path of the last weights."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fit_module, 'KeptState', BestAlone)
        return fit(recipe, progress=False).with_name('last.safetensors')


@pytest.fixture(scope='module')
def overfitted(tmp_path_factory):
    """Return a folder with a synthetic data set and a baseline that knows it by heart."""
    root = tmp_path_factory.mktemp('overfitted')
    synthetic = make_dataset(root / 'data')
    overfit(recipe_for(synthetic, root, 'epochs=130', 'validate_every=65', 'ema_decay=0.9'))
    return root


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'overrides'), [
    ('baseline', None),
    ('mc_dropout', ['epochs=110', 'mc_dropout.rate=0.05', 'mc_dropout.samples=5']),
    ('sub_ensemble', ['epochs=120', 'sub_ensemble.heads=2']),
    ('emuformer', ['epochs=60', 'ema_decay=0.9', 'network.initial_weights=teacher',
                   'emuformer.teacher=[{}/synthetic/best.safetensors]'])])
def test_every_method_overfits_four_images(overfitted, method, overrides):
    """Above .8 mIoU, under 0.2 m: no head is dead, depth and variance are no constants."""
    folder = DatasetFolder(overfitted / 'data')
    best = overfitted / 'synthetic/best.safetensors'
    if overrides is not None:
        best = overfit(recipe_for(overfitted / 'data', overfitted, f'name={method}',
                                  f'method={method}', 'validate_every=200',
                                  *[part.format(overfitted) for part in overrides]))
        # Never validated: the best is the last.
        assert best.with_name('best.safetensors').read_bytes() == best.read_bytes()
    result, spread = measured([best], folder)
    assert result['segmentation']['miou'] > 0.8, result['segmentation']
    assert result['depth']['rmse'] < 0.2, result['depth']
    assert spread > 0.01, 'the variance is a constant'


@pytest.mark.slow
def test_the_checkpoint_says_what_it_was_trained_on_and_when_to_distrust_it(overfitted):
    best, folder = overfitted / 'synthetic/best.safetensors', DatasetFolder(overfitted / 'data')
    metadata = read_metadata(best)
    assert metadata.classes == ('wall', 'floor', 'box') and metadata.intrinsics.fx == 110.0
    means = [Predictor.load(best, 'cpu')(folder.image(stem), fx=110.0)
             for stem in folder.stems('val')]
    rows = fitted_scores(metadata.tasks)
    assert {row.task for row in rows} == {'segmentation', 'depth'}
    assert metadata.calibration.scores.keys() == {row.name for row in rows}
    for name, fitted in metadata.calibration.scores.items():
        expected = np.percentile([m.scores[name] for m in means], 95.0)
        assert fitted.threshold == pytest.approx(expected, rel=1e-4)
        assert (fitted.percentile, fitted.fitted_on) == (95.0, {
            'data_set': 'synthetic', 'split': 'val', 'images': len(means)})


def test_curves_and_pictures_are_there_for_tensorboard(overfitted):
    events = EventAccumulator(str(overfitted / 'synthetic/tensorboard'))
    events.Reload()
    tags = events.Tags()
    assert {'train/ce', 'train/gnll', 'val/miou', 'val/rmse'} <= set(tags['scalars'])
    assert tags['images'] == ['val/0', 'val/1']


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'workers'), [
    ('baseline', 0), ('baseline', 2), ('mc_dropout', 0), ('sub_ensemble', 0), ('emuformer', 0)])
def test_resume_continues_as_if_never_stopped(synthetic, tmp_path, power_cut, method, workers):
    """Two batches an epoch, so that their order counts; workers ask for views early."""
    if workers and 'EMU_ALONE' not in os.environ:
        # Workers are forks: of a process in which ROS and OpenVINO have left threads behind, as
        # this one after many tests, they do not live. A user's has none of these.
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider',
             f'{__file__}::test_resume_continues_as_if_never_stopped[{method}-{workers}]'],
            env={**os.environ, 'EMU_ALONE': '1'}, capture_output=True, text=True)
        assert done.returncode == 0 and '1 passed' in done.stdout, done.stdout[-2000:]
        return
    more = []
    if method == 'emuformer':
        teacher = fit(recipe_for(synthetic, tmp_path, 'epochs=1'), progress=False)
        more = [f'emuformer.teacher=[{teacher}]']

    def recipe(name):
        return recipe_for(synthetic, tmp_path, 'epochs=3', f'name={name}', 'ema_decay=0.5',
                          'augmentation.scale=[0.7, 1.5]', f'method={method}',
                          'sub_ensemble.heads=2', 'validate_every=2', 'batch_size=2',
                          f'workers={workers}', *more)
    fit(recipe('straight'), progress=False)

    power_cut(recipe('cut'))
    fit(recipe('cut'), resume=True, progress=False)
    straight, _ = load_checkpoint(tmp_path / 'straight/last.safetensors')
    resumed, _ = load_checkpoint(tmp_path / 'cut/last.safetensors')
    for (name, one), two in zip(straight.state_dict().items(), resumed.state_dict().values(),
                                strict=True):
        assert torch.equal(one, two), f'{name} differs after resume'


@pytest.mark.slow
def test_a_run_that_the_clock_stops_goes_on_to_what_it_would_have_been(
        synthetic, tmp_path, monkeypatch):
    """Stopped within its first epoch, it makes that one, and --resume has time of its own."""
    def recipe(name, *more):
        return recipe_for(synthetic, tmp_path, 'epochs=3', 'batch_size=2', f'name={name}', *more)
    fit(recipe('straight'), progress=False)
    with monkeypatch.context() as patch:
        patch.setattr('training.fit.StopAfter', lambda seconds: StopAfter(0.0))
        fit(recipe('stopped', 'max_minutes=1'), progress=False)
    assert not (tmp_path / 'stopped/finished.json').exists()
    assert json.loads((tmp_path / 'stopped/progress.json').read_text())['epoch'] == 1
    fit(recipe('stopped', 'max_minutes=10'), resume=True, progress=False)
    assert (tmp_path / 'stopped/finished.json').exists()
    for start in (0, 1):
        assert (tmp_path / f'stopped/logs/start_{start}/metrics.csv').exists(), 'a curve was lost'
    straight, stopped = (load_checkpoint(tmp_path / name / 'last.safetensors')[0].state_dict()
                         for name in ('straight', 'stopped'))
    assert all(torch.equal(straight[name], stopped[name]) for name in straight)


@pytest.mark.slow
def test_a_finished_run_that_is_resumed_writes_what_it_had(synthetic, tmp_path, capsys):
    """As a scheduler's script does that always says --resume: no step is made any more."""
    def recipe(*more):
        return recipe_for(synthetic, tmp_path, 'epochs=2', 'batch_size=2', 'ema_decay=0.9', *more)
    best = fit(recipe(), progress=False)
    before = [load_checkpoint(best.with_name(name)) for name in ('best.safetensors',
                                                                 'last.safetensors')]
    moved = tmp_path / 'elsewhere'
    moved.mkdir()
    best.parent.rename(moved / 'synthetic')
    best = fit(recipe(f'output={moved}'), resume=True, progress=False)
    for (network, metadata), name in zip(before, ('best.safetensors', 'last.safetensors')):
        again, document = load_checkpoint(best.with_name(name))
        assert document.metrics == metadata.metrics and metadata.metrics, name
        assert document.provenance['epoch'] == metadata.provenance['epoch'], name
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[key]), f'{name}: {key}'
    # A data set of other classes is none that its layers fit.
    fields = yaml.safe_load((synthetic / 'dataset.yaml').read_text())
    (synthetic / 'dataset.yaml').write_text(yaml.safe_dump(
        {**fields, 'classes': [*fields['classes'], 'door']}))
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', '--resume',
                 'epochs=3', 'batch_size=2', 'ema_decay=0.9', f'output={moved}']) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'last.ckpt: is of another network' in line and 'classes' in line, line


@pytest.mark.slow
def test_a_run_is_not_overwritten_and_not_resumed_with_another_recipe(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    command = ['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress']
    assert main([*command, 'epochs=1']) == 0
    before = (tmp_path / 'synthetic/best.safetensors').read_bytes()
    assert main([*command, 'epochs=1']) == 1
    assert '--resume' in capsys.readouterr().err
    assert main([*command, 'epochs=1', '--resume', 'seed=7']) == 1
    assert "'seed' is 0, now it is 7" in capsys.readouterr().err
    (tmp_path / 'synthetic/state/last.ckpt').write_text('not a state')
    assert main([*command, '--resume', 'epochs=1']) == 1
    assert 'last.ckpt' in capsys.readouterr().err
    assert (tmp_path / 'synthetic/best.safetensors').read_bytes() == before


def test_synchronised_batch_norms_are_the_same_function():
    """Torch's own conversion takes the activation out of timm's norms, without a word."""
    network = MultitaskNetwork('tf_efficientnet_lite0', num_classes=3, head_dim=16).eval()
    x = torch.randn(1, 3, 64, 64)
    expected = network(x)
    found = fit_module.convert_sync_batchnorm(copy.deepcopy(network)).eval()(x)
    assert all(torch.allclose(found[task], expected[task], atol=1e-5) for task in expected)


@pytest.mark.slow
@pytest.mark.parametrize('tasks', ['segmentation', 'depth'])
def test_single_task_networks_train_and_leave_the_other_out(synthetic, tmp_path, tasks):
    best = fit(recipe_for(synthetic, tmp_path, 'epochs=1', f'network.tasks=[{tasks}]'),
               progress=False)
    prediction = Predictor.load(best, 'cpu')(DatasetFolder(synthetic).image('000'))
    assert (prediction.label is None) == (tasks == 'depth')
    assert (prediction.depth is None) == (tasks == 'segmentation')


@pytest.mark.slow
def test_a_depth_head_of_logarithms_trains_is_calibrated_and_answers_in_metres(
        synthetic, tmp_path):
    linear = fit(recipe_for(synthetic, tmp_path, 'epochs=2', 'network.tasks=[depth]'),
                 progress=False)
    best = fit(recipe_for(
        synthetic, tmp_path, 'name=log', 'epochs=30', 'validate_every=30', 'network.tasks=[depth]',
        'network.depth_output=log', f'network.initial_weights={linear}'), progress=False)
    assert read_metadata(best).architecture['depth_output'] == 'log'
    folder, out = DatasetFolder(synthetic), tmp_path / 'calibrated.safetensors'
    figures = calibrate(best, folder, 'val', out, count=1, progress=False)
    # The scale that is fitted makes the mean squared z 1, of the logarithms.
    assert figures['after']['depth']['nll'] <= figures['before']['depth']['nll'] + 1e-6
    example = DatasetFolder(synthetic).example('000')
    found, truth = Predictor.load(out, 'cpu')(example.image, fx=110.0), example.depth
    assert np.median(np.abs(found.depth - truth)[truth > 0] / truth[truth > 0]) < 0.5
    assert np.isfinite(found.depth_sigma).all() and (found.depth_sigma > 0).all()


@pytest.mark.slow
def test_mixed_precision_trains_and_its_checkpoint_is_float32(synthetic, tmp_path):
    best = fit(recipe_for(synthetic, tmp_path, 'epochs=1', 'precision=bf16-mixed'), progress=False)
    network, _ = load_checkpoint(best)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_with_the_batch_named(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    code = main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', 'epochs=5',
                 'optimizer.learning_rate=1', 'optimizer.head_factor=1000000',
                 'optimizer.gradient_clip=0'])
    message = capsys.readouterr().err
    assert code == 1 and 'samples [' in message and 'learning_rate' in message, message


@pytest.mark.parametrize(('override', 'words'), [
    ('data=/no/such/folder', ('/no/such/folder', 'no such data set folder')),
    ('network.encoder=resnet_of_dreams', ('resnet_of_dreams',)),
    ('network.initial_weights=/no/weights.pth', ('/no/weights.pth', 'no such file')),
    ('network.tasks=[flow]', ('tasks', 'flow')),
    ('batch_size=64', ('batch_size', '64', 'train.txt')),
])
def test_what_is_wrong_ends_before_training_with_one_line(synthetic, tmp_path, capsys, override,
                                                          words):
    recipe_for(synthetic, tmp_path)
    code = main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', override])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert code == 1 and len(lines) == 1
    for word in words:
        assert word in lines[0]


def test_resume_without_a_run_says_so(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--resume', 'epochs=1']) == 1
    assert '--resume' in capsys.readouterr().err


def test_the_trivial_baselines_are_measured_and_are_poor(synthetic):
    folder = DatasetFolder(synthetic)
    result = trivial(folder, folder.stems('val'), progress=False)
    assert result['segmentation']['miou'] < 0.5 and result['depth']['rmse'] > 0.1


def test_the_trivial_baselines_of_images_of_several_sizes(synthetic):
    """And of a depth camera that sees nothing at its border: the mean of all stands there."""
    sizes = {'001': (48, 64), '004': (192, 256)}
    for stem in (path.stem for path in (synthetic / 'depth').iterdir()):
        for kind in ('image', 'label', 'depth'):
            path = str(synthetic / kind / f'{stem}.png')
            values = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            values = cv2.resize(values, sizes.get(stem, (96, 128))[::-1],
                                interpolation=cv2.INTER_NEAREST)
            if kind == 'depth' and stem < '004':
                values[:, :len(values[0]) // 4] = 0
            cv2.imwrite(path, values)
    folder = DatasetFolder(synthetic)
    found = trivial(folder, folder.stems('val'), progress=False)
    assert 0.1 < found['depth']['rmse'] < 3.0, 'no depth of 0 m is guessed'
    assert found['majority_class'] in folder.classes
    for stem in folder.stems('train'):
        (synthetic / 'depth' / f'{stem}.png').unlink()
        (synthetic / 'label' / f'{stem}.png').unlink()
    assert trivial(DatasetFolder(synthetic), folder.stems('val'), progress=False) == {}


@pytest.mark.slow
def test_exported_model_carries_its_metrics_and_a_card_that_agrees(synthetic, tmp_path):
    best = fit(recipe_for(synthetic, tmp_path, 'epochs=1'), progress=False)
    metrics = tmp_path / 'val.json'
    assert evaluate_main(['--checkpoint', str(best), '--data', str(synthetic), '--json',
                          str(metrics), '--trivial', '--device', 'cpu']) == 0
    out = tmp_path / 'models/small.safetensors'
    assert export.main(['--checkpoint', str(best), '--metrics', str(metrics),
                        '--out', str(out)]) == 0
    assert out.stat().st_size < 0.6 * best.stat().st_size, 'float16 must halve the file'
    metadata = read_metadata(out)
    measured = json.loads(metrics.read_text())
    for name in ('segmentation', 'depth', 'trivial', 'images'):
        assert metadata.metrics[name] == measured[name]
    assert 'per_image' not in metadata.metrics
    card = out.with_suffix('.md').read_text()
    assert f"{measured['depth']['rmse']:.3f}" in card
    assert f"{measured['trivial']['segmentation']['miou']:.3f}" in card
    image = DatasetFolder(synthetic).image('000')
    full, half = (Predictor.load(path, 'cpu')(image, fx=110.0) for path in (best, out))
    assert np.allclose(full.depth, half.depth, rtol=0.02)


@pytest.mark.slow
def test_export_refuses_the_metrics_of_another_file_of_the_same_name(synthetic, tmp_path, capsys):
    """Every run's best is called best.safetensors, and calibration changes a file in place."""
    one = fit(recipe_for(synthetic, tmp_path, 'epochs=1', 'name=one'), progress=False)
    two = fit(recipe_for(synthetic, tmp_path, 'epochs=1', 'name=two', 'seed=1'), progress=False)
    metrics = tmp_path / 'm.json'
    assert evaluate_main(['--checkpoint', str(one), '--data', str(synthetic), '--json',
                          str(metrics), '--device', 'cpu', '--no-progress']) == 0
    for text in (metrics.read_text(), '[]', '{"checkpoint": "best.safetensors"}'):
        metrics.write_text(text)
        assert export.main(['--checkpoint', str(two), '--metrics', str(metrics), '--out',
                            str(tmp_path / 'x.safetensors')]) == 1
        assert 'evaluate it first' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['label', 'depth'])
def test_maps_that_are_all_missing_are_noticed_before_training(synthetic, tmp_path, capsys, kind):
    (synthetic / kind).rename(synthetic / f'{kind}s')
    recipe_for(synthetic, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress', 'epochs=1']) == 1
    message = capsys.readouterr().err
    assert f'/{kind}: holds no PNG' in message, message


def test_depths_are_found_wherever_they_are(synthetic):
    """Of every tenth image none had a depth, or a laser had left every eighth line empty."""
    folder = DatasetFolder(synthetic)
    path = synthetic / 'depth/003.png'
    sparse = np.zeros((96, 128), np.uint16)
    sparse[3::8, 5::8] = 2000
    cv2.imwrite(str(path), sparse)
    for stem in ('000', '001', '002'):
        (synthetic / 'depth' / f'{stem}.png').unlink()
    examples = ExampleCache(folder, folder.stems('train'))
    assert depth_statistics(examples, images=2) == pytest.approx((2.0, 0.0))
    path.unlink()
    with pytest.raises(DatasetError, match='no valid depth'):
        depth_statistics(ExampleCache(folder, folder.stems('train')))


def test_images_of_another_aspect_are_refused_with_a_size_that_fits(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress',
                 'input_size=[64, 192]']) == 1
    assert 'input_size=[96, 128]' in capsys.readouterr().err
