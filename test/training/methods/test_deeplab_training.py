# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The three-task network through every command: fit, evaluate, calibrate, export."""

from __future__ import annotations

import json
import math
from pathlib import Path
import sys

from emu_perception.checkpoint import load_checkpoint, read_metadata
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
import numpy as np
import pytest
import timm
import torch
from torch.utils.data import DataLoader
from training import calibrate, distill, export
from training.data.dataset_folder import DatasetError, DatasetFolder
from training.data.examples import ExampleCache, WholeImages
from training.evaluate import main as evaluate_main
from training.fit import export as export_checkpoint
from training.fit import fit, main
from training.losses.terms import centroid_l1, inverse_l1, inverse_mse
from training.methods.deeplab import DeepLab
from training.prepare.synthetic import prepare_synthetic
from training.recipes.options import RecipeError
from training.recipes.recipe import load_recipe, Recipe
from training.runs.building import build_network, check_tasks, make_module
from training.runs.warm_start import warm_start
import yaml

FIELDS = {
    'name': 'run', 'input_size': [64, 96], 'batch_size': 4, 'epochs': 2, 'validate_every': 2,
    'network': {'family': 'deeplab', 'encoder': 'resnet10t', 'aspp_rates': [2, 4], 'aspp_dim': 16,
                'decoder_dim': 16, 'tasks': ['segmentation', 'instance', 'depth'],
                'encoder_arguments': {'channels': [8, 16, 24, 32]}},
    'augmentation': {'scale': [0.9, 1.2]},
    'optimizer': {'learning_rate': 3e-3, 'head_factor': 1.0},
    'clustering': {'min_samples': 4, 'min_size': 8}}


@pytest.fixture(scope='module')
def scenes(tmp_path_factory) -> Path:
    """Return a synthetic data set of ten images."""
    root = tmp_path_factory.mktemp('scenes') / 'data'
    prepare_synthetic(root, images=10, size=(64, 96), progress=False)
    return root


def recipe_for(data: Path, tmp_path: Path, *overrides: str) -> Recipe:
    path = tmp_path / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**FIELDS, 'data': str(data), 'output': str(tmp_path)}))
    return load_recipe(path, overrides)


def measured(checkpoint: Path, data: Path, *more: str) -> dict:
    """Return what the command measures."""
    out = checkpoint.with_suffix('.json')
    assert evaluate_main(['--checkpoint', str(checkpoint), '--data', str(data), '--json',
                          str(out), '--device', 'cpu', '--no-progress',
                          '--min-instance-pixels', '10', *more]) == 0
    return json.loads(out.read_text())


def test_the_losses_by_hand():
    truth = torch.tensor([[[0.5, 0.0, -1.0]]])
    guess = torch.tensor([[[0.2, -0.1, 9.0]]], requires_grad=True)
    assert float(inverse_l1(guess, truth)) == pytest.approx((0.3 + 0.1) / 2)
    assert float(inverse_mse(guess, truth)) == pytest.approx((0.09 + 0.01) / 2)
    inverse_l1(guess, truth).backward()
    assert guess.grad[0, 0, 2] == 0 and guess.grad[0, 0, 1] != 0, 'the sky counts, unknown not'
    vectors = torch.tensor([[[[1.0, 5.0]], [[-2.0, 5.0]]]])
    on = torch.tensor([[[True, False]]])
    assert float(centroid_l1(vectors, torch.zeros_like(vectors), on)) == 3.0
    assert float(centroid_l1(vectors, torch.zeros_like(vectors), on & False)) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize('tasks', [
    ['segmentation'], ['instance'], ['depth'], ['segmentation', 'instance'],
    ['instance', 'depth'], ['segmentation', 'instance', 'depth']], ids='+'.join)
def test_any_subset_of_tasks_trains_and_is_measured(scenes, tmp_path, tasks):
    best = fit(recipe_for(scenes, tmp_path, f'network.tasks={tasks}', 'epochs=1',
                          'loss_weights=learned', 'validate_every=1'), progress=False)
    metadata = read_metadata(best)
    assert metadata.tasks == tuple(tasks)
    assert (metadata.instances is not None) == ({'segmentation', 'instance'} <= set(tasks))
    result = measured(best, scenes, '--no-ap')
    assert ('segmentation' in result) == ('segmentation' in tasks)
    assert ('instance' in result) == ('instance' in tasks)
    assert ('depth' in result) == ('inverse_depth' in result) == ('depth' in tasks)
    if tasks != ['instance']:
        prediction = Predictor.load(best, 'cpu')(DatasetFolder(scenes).image('00009'))
        assert (prediction.depth is None) == ('depth' not in tasks)


@pytest.fixture(scope='module')
def trained(scenes, tmp_path_factory) -> Path:
    """Return the best checkpoint of three tasks with learned weights."""
    root = tmp_path_factory.mktemp('trained')
    return fit(recipe_for(scenes, root, 'loss_weights=learned', 'epochs=25', 'validate_every=25',
                          'loss_weights.learning_rate_factor=10'), progress=False)


def constant_depth(scenes: Path) -> tuple[float, float]:
    """Return the mean error in 1/m and delta1 of the constant that is nearest to all pixels."""
    folder = DatasetFolder(scenes)
    inverse = np.concatenate([folder.example(stem, inverse=True).inverse.ravel()
                              for stem in folder.stems('train')])
    inverse = inverse[inverse >= 0]
    middle, seen = np.median(inverse), inverse[inverse > 0]
    ratio = np.maximum(seen / middle, middle / seen)
    return float(np.abs(inverse - middle).mean()), float((ratio < 1.25).mean())


@pytest.mark.slow
def test_it_learns_all_three_tasks(trained, scenes):
    """Twice as good as a constant: on ten scenes seen twenty-five times."""
    result = measured(trained, scenes, '--split', 'train', '--trivial')
    assert result['segmentation']['miou'] > 2 * result['trivial']['segmentation']['miou']
    assert result['instance']['skill'] > 0.1, 'of the error of votes that are all 0'
    error, delta1 = constant_depth(scenes)
    assert result['inverse_depth']['mean_error'] < error / 2
    assert result['inverse_depth']['unit'] == '1/m'
    assert result['depth']['delta1'] > 2 * delta1
    assert {'ap', 'ap50', 'min_pixels'} <= set(result['instance'])
    assert set(result['instance']['class_ap']) == {'box', 'ball', 'cone'}


@pytest.mark.slow
def test_measured_instances_are_those_of_the_predictor(trained, scenes):
    """AP is of what the robot gets: the same clustering of the same maps."""
    from training.evaluation.three_task_figures import ThreeTaskFigures
    from training.methods.ensemble import Ensemble

    folder = DatasetFolder(scenes)
    figures = ThreeTaskFigures(Ensemble([trained]), folder, min_pixels=10)
    seen = []
    figures.precision.update = lambda *maps: seen.append(maps)
    for stem in folder.stems('train')[:3]:
        example = folder.example(stem, inverse=True, instance=True)
        figures.update(example)
        prediction = Predictor.load(trained, 'cpu')(example.image)
        label, instance, confidence, true_label, true_instance = seen[-1]
        assert (label == prediction.label).mean() > 0.999
        assert (instance == prediction.instance).mean() > 0.99
        assert np.allclose(confidence, prediction.confidence, atol=1e-3)
        assert true_label is example.label and true_instance is example.instance


def test_the_noise_of_depth_is_the_learned_one(trained):
    state = torch.load(trained.parent / 'state/last.ckpt', weights_only=False)['state_dict']
    network, _ = load_checkpoint(trained.parent / 'last.safetensors')
    scale = math.exp(float(state['task_weights.s.inverse_l1']))
    assert float(network.depth_noise) == pytest.approx(2 * scale**2, rel=1e-5)


@pytest.mark.parametrize('loss', ['l1', 'mse'])
def test_without_learned_weights_the_noise_is_measured_on_val(scenes, tmp_path, loss):
    best = fit(recipe_for(scenes, tmp_path, 'epochs=1', 'validate_every=1',
                          f'loss.inverse_depth={loss}', 'network.tasks=[depth]'), progress=False)
    network, _ = load_checkpoint(best)
    result = measured(best, scenes)['inverse_depth']
    expected = 2 * result['mean_error']**2 if loss == 'l1' else result['rms_error']**2
    # Below zero the raw map is not cut there, the measured depth is: nearly no pixel here.
    assert float(network.depth_noise) == pytest.approx(expected, rel=0.02)


def test_a_checkpoint_is_calibrated_and_exported_with_its_card(trained, scenes, tmp_path):
    out = tmp_path / 'calibrated.safetensors'
    assert calibrate.main(['--checkpoint', str(trained), '--data', str(scenes), '--out', str(out),
                           '--device', 'cpu', '--no-progress']) == 0
    metadata = read_metadata(out)
    assert metadata.calibration.variance_scale != 1.0 and metadata.instances is not None
    result = measured(out, scenes)
    shipped = tmp_path / 'shipped.safetensors'
    assert export.main(['--checkpoint', str(out), '--metrics', str(out.with_suffix('.json')),
                        '--out', str(shipped)]) == 0
    card = shipped.with_suffix('.md').read_text()
    assert 'one noise for all depths' in card and 'ASPP' in card
    assert f"{result['inverse_depth']['mean_error']:.3f}" in card
    full, half = (load_checkpoint(path)[0] for path in (out, shipped))
    assert torch.equal(full.depth_noise, half.depth_noise)


def disparity_copy(scenes: Path, root: Path, baseline: float | None = 0.5) -> DatasetFolder:
    """Return the synthetic scenes at twice the size with disparities in place of metres."""
    import cv2

    source = DatasetFolder(scenes)
    camera, doubled = source.intrinsics, (192, 128)
    for kind in ('image', 'label', 'depth', 'instance'):
        (root / kind).mkdir(parents=True)
    for split in ('train', 'val'):
        (root / f'{split}.txt').write_text('\n'.join(source.stems(split)))
        for stem in source.stems(split):
            example = source.example(stem, instance=True)
            pixels = 2 * camera.fx * 0.5 / np.maximum(example.depth, 1e-6)
            raw = np.where(example.depth > 0, np.round(pixels * 256) + 1, 1).astype(np.uint16)
            for kind, values in (('image', example.image[..., ::-1]), ('label', example.label),
                                 ('depth', raw), ('instance', example.instance)):
                cv2.imwrite(str(root / kind / f'{stem}.png'), cv2.resize(
                    values, doubled, interpolation=cv2.INTER_NEAREST))
    document = yaml.safe_load((scenes / 'dataset.yaml').read_text())
    document['depth'] = {'scale': 1 / 256, 'offset': -1 / 256, 'invalid': [0], 'min': 0.0,
                         'max': 256.0, 'quantity': 'disparity'}
    document['intrinsics'] = {'width': 192, 'height': 128, 'fx': 2 * camera.fx,
                              'fy': 2 * camera.fx, 'cx': 96, 'cy': 64,
                              **({} if baseline is None else {'baseline': baseline})}
    (root / 'dataset.yaml').write_text(yaml.safe_dump(document))
    return DatasetFolder(root)


@pytest.mark.slow
def test_disparities_are_learned_in_pixels_of_the_network_and_predicted_in_metres(
        scenes, tmp_path):
    folder = disparity_copy(scenes, tmp_path / 'disparity')
    best = fit(recipe_for(folder.root, tmp_path, 'epochs=40', 'validate_every=40',
                          'optimizer.learning_rate=0.01', 'augmentation.scale=[1.0, 1.0]',
                          'network.tasks=[depth]'), progress=False)
    network, metadata = load_checkpoint(best)
    # fx · baseline at the network's width of 96, half of the images'.
    fx = DatasetFolder(scenes).intrinsics.fx
    assert network.depth_factor == pytest.approx(fx * 0.5)
    assert metadata.depth_min == pytest.approx(2 * fx * 0.5 / 256)
    result = measured(best, folder.root, '--split', 'train')
    error, delta1 = constant_depth(scenes)
    assert result['inverse_depth']['unit'] == 'px'
    assert result['inverse_depth']['mean_error'] < error * fx * 0.5 / 2
    assert result['depth']['delta1'] > 2 * delta1
    # The same network on the folder of metres: as far in 1/m as fx · baseline says.
    metres = measured(best, scenes, '--split', 'train')['inverse_depth']
    assert metres['unit'] == '1/m'
    assert metres['mean_error'] == pytest.approx(
        result['inverse_depth']['mean_error'] / (fx * 0.5), rel=0.05)


def test_disparities_without_the_camera_are_refused(scenes, tmp_path):
    folder = disparity_copy(scenes, tmp_path / 'disparity', baseline=None)
    with pytest.raises(DatasetError, match="'intrinsics' with fx and baseline"):
        check_tasks(recipe_for(folder.root, tmp_path), folder)


def test_a_folder_without_things_has_no_task_instance(synthetic, tmp_path, capsys):
    recipe_for(synthetic, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress']) == 1
    assert "field 'things' is missing" in capsys.readouterr().err


@pytest.mark.parametrize(('overrides', 'words'), [
    (['method=emuformer'], ("'method' is 'emuformer'", 'deeplab', 'variance')),
    (['method=sub_ensemble'], ("'method' is 'sub_ensemble'", 'deeplab')),
    (['network.head_dim=64'], ("'network.head_dim' is 64", "'all_mlp'", 'leave it out')),
    (['loss.depth=mse'], ("'loss.depth'", "'all_mlp'")),
    (['network.family=all_mlp'], ("'network.aspp_rates'", "'deeplab'")),
    (['network={encoder: resnet10t}', 'clustering={min_size: 8}'], ("'clustering'", "'all_mlp'")),
    (['network.family=vgg'], ("'network.family' is 'vgg'",)),
])
def test_what_the_family_does_not_have_is_refused_in_one_line(tmp_path, overrides, words):
    with pytest.raises(RecipeError) as caught:
        recipe_for(tmp_path, tmp_path, *overrides)
    assert '\n' not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_distilling_into_a_deeplab_is_refused(scenes, tmp_path, capsys):
    recipe_for(scenes, tmp_path)
    assert distill.main(['--recipe', str(tmp_path / 'recipe.yaml'), '--teacher', 'x',
                         '--no-progress']) == 1
    assert "'method' is 'emuformer'" in capsys.readouterr().err


@pytest.mark.parametrize('wrong', ['speed: 3', 'min_size: 0', 'things: [1]'])
def test_a_wrong_clustering_is_named_before_the_training(scenes, tmp_path, capsys, wrong):
    recipe_for(scenes, tmp_path)
    assert main(['--recipe', str(tmp_path / 'recipe.yaml'), '--no-progress',
                 f'clustering={{{wrong}}}']) == 1
    message = capsys.readouterr().err
    assert "'clustering'" in message and wrong.partition(':')[0] in message
    assert not (tmp_path / 'run').exists()


def test_without_scikit_learn_it_is_said_before_the_training(scenes, tmp_path, monkeypatch):
    recipe = recipe_for(scenes, tmp_path)
    monkeypatch.setitem(sys.modules, 'sklearn.cluster', None)
    with pytest.raises(InputError, match='pip install scikit-learn'):
        check_tasks(recipe, DatasetFolder(scenes))


def untrained(data: Path, tmp_path: Path, *overrides: str) -> tuple[DeepLab, DatasetFolder]:
    """Return the module of a new network."""
    folder, recipe = DatasetFolder(data), recipe_for(data, tmp_path, *overrides)
    network, _ = build_network(recipe, folder, ExampleCache(folder, folder.stems('train')),
                               folder.classes)
    return make_module(network, recipe, folder, None), folder


def test_the_noise_is_measured_by_one_process_alone(scenes, tmp_path, monkeypatch):
    """The others have left: a metric that waits for them would wait for ever."""
    module, folder = untrained(scenes, tmp_path, 'network.tasks=[depth]')
    gathered = []
    monkeypatch.setattr('torchmetrics.metric.jit_distributed_available', lambda: True)
    monkeypatch.setattr('torchmetrics.metric.gather_all_tensors',
                        lambda part, group=None: gathered.append(1) or [part])
    val = ExampleCache(folder, folder.stems('val'), inverse=True)
    before = float(module.network.depth_noise)
    module.before_export(DataLoader(WholeImages(val, (64, 96))))
    assert not gathered and float(module.network.depth_noise) != before


def test_without_a_known_depth_in_val_the_noise_stays_the_datas(scenes, tmp_path, caplog):
    module, _ = untrained(scenes, tmp_path, 'network.tasks=[depth]')
    before = float(module.network.depth_noise)
    module.before_export([{'image': torch.zeros(1, 3, 64, 96, dtype=torch.uint8),
                           'inverse': torch.full((1, 64, 96), -1.0)}])
    assert float(module.network.depth_noise) == before > 1e-6
    assert 'not measured' in caplog.text


def test_a_warm_start_scales_no_depth_layer_that_it_did_not_copy(scenes, tmp_path):
    source, folder = untrained(scenes, tmp_path)
    path = tmp_path / 'source.safetensors'
    export_checkpoint(path, source.network, source.recipe, folder, 'none', {}, None, False)
    target, folder = untrained(disparity_copy(scenes, tmp_path / 'disparity').root, tmp_path,
                               'network.decoder_dim=8')
    layer = target.network.decoders['depth'].classifier
    before = [part.clone() for part in (layer.weight, layer.bias)]
    warm_start(target.network, str(path), target.recipe, folder)
    assert all(torch.equal(*pair) for pair in zip(before, (layer.weight, layer.bias)))


def test_weights_of_timms_own_names_start_the_encoder(scenes, tmp_path):
    arguments = FIELDS['network']['encoder_arguments']
    source = timm.create_model('resnet10t', pretrained=False, **arguments)
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    recipe = recipe_for(scenes, tmp_path, f'network.initial_weights={tmp_path}/weights.pth')
    folder = DatasetFolder(scenes)
    network, licence = build_network(recipe, folder, ExampleCache(folder, folder.stems('train')),
                                     folder.classes)
    assert torch.equal(network.encoder.model.layer1[0].conv1.weight,
                       source.layer1[0].conv1.weight)
    assert 'not known' in licence


def test_a_warm_start_keeps_the_depths_of_a_network_with_another_unit(trained, scenes, tmp_path):
    """From 1/m to disparities: the last layer is scaled, so the metres are the same."""
    folder = disparity_copy(scenes, tmp_path / 'disparity')
    recipe = recipe_for(folder.root, tmp_path, f'network.initial_weights={trained}')
    network, _ = build_network(recipe, folder, ExampleCache(folder, folder.stems('train')),
                               folder.classes)
    before, _ = load_checkpoint(trained)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        one, two = (net.eval()(x)['depth'] / net.depth_factor for net in (before, network))
    assert torch.allclose(one, two, rtol=1e-4, atol=1e-6)
