# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What several checkpoints say together: equation 10, their own methods, memory, refusals."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.checkpoint import Calibration, load_checkpoint, save_checkpoint
from emu_perception.commands import emu
from emu_perception.errors import InputError
from emu_perception.networks.multitask import outputs_at
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from small_models import SIZE
import torch
from training.data.dataset_folder import DatasetFolder
from training.methods.ensemble import Ensemble, expanded
from training.runs.warm_start import view_focal

IMAGES = torch.randint(0, 256, (2, 3, *SIZE), dtype=torch.uint8,
                       generator=torch.Generator().manual_seed(0))
FOCAL = 80.0 / 96  # Of the training camera of the saved networks.


def outputs(path, images=IMAGES):
    """Return a checkpoint's outputs by the shortest way."""
    network, metadata = load_checkpoint(path)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (metadata.mean, metadata.std))
    with torch.no_grad():
        return outputs_at(network((images / 255 - mean) / std), SIZE)


def test_two_members_give_the_mean_softmax_and_equation_10(saved):
    paths = [saved('a', 0), saved('b', 1)]
    moments = Ensemble(paths).moments(IMAGES, SIZE)
    a, b = map(outputs, paths)
    assert torch.allclose(moments.probabilities, (a.logits.softmax(1) + b.logits.softmax(1)) / 2,
                          atol=1e-5)
    assert torch.allclose(moments.depth, (a.depth + b.depth) / 2, atol=1e-5)
    spread = ((a.depth - b.depth) / 2).square()
    expected = (a.depth_variance + b.depth_variance) / 2 + spread
    assert float(spread.max()) > 0.01
    assert torch.allclose(moments.depth_variance, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('arguments', [{}, {'num_heads': 2}], ids=['network', 'sub-ensemble'])
def test_members_whose_heads_say_logarithms_answer_in_metres(saved, arguments):
    path = saved('log', depth_output='log', **arguments)
    network, metadata = load_checkpoint(path)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (metadata.mean, metadata.std))
    with torch.no_grad():
        found = [network.outputs_at(network((IMAGES / 255 - mean) / std, pair), SIZE).depth
                 for pair in range(network.num_heads)]
    ensemble = Ensemble([path])
    assert ensemble.depth_form.name == 'log'
    assert torch.allclose(ensemble.moments(IMAGES, SIZE).depth, sum(found) / len(found),
                          rtol=1e-3)


@pytest.mark.slow
def test_members_of_every_method_answer_together(saved):
    trained = {'recipe': {'method': 'mc_dropout', 'mc_dropout': {'samples': 4}}}
    paths = [saved('one'), saved('heads', 1, num_heads=3),
             saved('drop', 2, provenance=trained, stage_dropout=0.2)]
    ensemble = Ensemble(paths)
    assert [member.sampled.count for member in ensemble.members] == [1, 3, 4]
    assert ensemble.samples == 8
    moments = ensemble.moments(IMAGES, SIZE, seed=1)
    assert torch.allclose(moments.probabilities.sum(1), torch.ones(2, *SIZE), atol=1e-5)
    again = ensemble.moments(IMAGES, SIZE, seed=1)
    assert torch.equal(moments.depth, again.depth)


@pytest.mark.slow
@pytest.mark.parametrize('precision', [None, torch.bfloat16])
def test_peak_memory_does_not_grow_with_the_number_of_samples(saved, peak_bytes, precision):
    """In mixed precision too: autocast must keep no copy of each member's weights."""
    def answer(ensemble):
        with torch.autocast('cpu', precision, enabled=precision is not None):
            ensemble.moments(IMAGES, (256, 384))

    def peak(count):
        paths = [saved(f'm{i}', i, head_dim=128) for i in range(count)]
        ensemble = Ensemble(paths)
        return peak_bytes(lambda: answer(ensemble))
    few, many = peak(2), peak(6)
    one_sample = 2 * 3 * 256 * 384 * 4
    assert many < few + one_sample / 4, f'{few} bytes with 2 members, {many} with 6'


def test_calibration_of_each_member_counts(saved):
    path = saved('a', metadata={'calibration': Calibration(temperature=2.0, variance_scale=3.0)})
    moments, plain = Ensemble([path]).moments(IMAGES, SIZE), outputs(path)
    assert torch.allclose(moments.probabilities, (plain.logits / 2).softmax(1), atol=1e-5)
    assert torch.allclose(moments.depth_variance, 3 * plain.depth_variance, rtol=1e-4)


def test_depth_is_brought_from_the_training_camera_to_the_images_camera(saved):
    ensemble = Ensemble([saved('a')])
    same = ensemble.moments(IMAGES, SIZE, focal=FOCAL)
    twice = ensemble.moments(IMAGES, SIZE, focal=2 * FOCAL)
    assert torch.allclose(same.depth, ensemble.moments(IMAGES, SIZE).depth)
    assert torch.allclose(twice.depth, 2 * same.depth)
    assert torch.allclose(twice.depth_variance, 4 * same.depth_variance)


def test_views_of_a_teachers_own_camera_and_size_are_at_its_metres(saved, synthetic):
    size = (160, 224)  # 4:3 images fill but 213 of their 224 columns.
    folder, path = DatasetFolder(synthetic), saved('a')
    network, metadata = load_checkpoint(path)
    save_checkpoint(path, network, replace(metadata, intrinsics=folder.intrinsics,
                                           input_size=size))
    ensemble = Ensemble([path])
    views = torch.zeros(1, 3, *size, dtype=torch.uint8)
    plain = ensemble.moments(views, size)
    for whole, factor in ((size, 1.0), ((80, 112), 0.5)):
        found = ensemble.moments(views, size, focal=view_focal(folder, whole, size))
        assert torch.allclose(found.depth, factor * plain.depth, rtol=1e-6)
        assert torch.allclose(found.depth_variance, factor**2 * plain.depth_variance, rtol=1e-6)


def test_one_checkpoint_says_what_the_robots_predictor_says(saved):
    """At the network's size evaluation and robot agree: the figures are those of the product."""
    path = saved('a', metadata={'calibration': Calibration(temperature=1.5, variance_scale=0.5)})
    image = IMAGES[0].permute(1, 2, 0).numpy()
    moments = Ensemble([path]).predict(image, focal=100.0 / 96)
    prediction = Predictor.load(path, 'cpu')(image, fx=100.0)
    assert np.array_equal(prediction.label, moments.probabilities[0].argmax(0).numpy())
    assert np.allclose(prediction.depth, moments.depth[0].numpy(), atol=1e-4)
    assert np.allclose(prediction.depth_variance, moments.depth_variance[0].numpy(), rtol=1e-3)
    entropy = -torch.xlogy(moments.probabilities[0], moments.probabilities[0]).sum(0)
    assert np.allclose(prediction.segmentation_entropy, entropy.numpy(), atol=1e-4)


def test_maps_have_the_images_size_whatever_the_networks(saved):
    moments = Ensemble([saved('a')]).predict(np.zeros((128, 200, 3), np.uint8))
    assert moments.probabilities.shape[-2:] == moments.depth.shape[-2:] == (128, 200)


def test_a_folder_stands_for_its_members(saved, tmp_path):
    for index in (1, 0):
        (tmp_path / f'run/member_{index:02d}').mkdir(parents=True)
        saved(f'run/member_{index:02d}/best', index)
    paths = expanded([tmp_path / 'run'])
    assert [path.parent.name for path in paths] == ['member_00', 'member_01']


@pytest.mark.slow
def test_what_cannot_answer_together_is_refused_by_name(saved, tmp_path):
    a, heads = saved('a'), saved('heads', num_heads=2)
    depth = saved('depth', tasks=('depth',))
    dry = saved('dry', head_dropout=0.0)
    (tmp_path / 'empty').mkdir()
    for words, call in {
            ('depth.safetensors', 'tasks'): lambda: Ensemble([a, depth]),
            ('heads.safetensors', '2 heads'): lambda: Ensemble([heads], method='deterministic'),
            ('a.safetensors', '1 heads'): lambda: Ensemble([a], method='sub_ensemble'),
            ('dry.safetensors', 'no dropout'): lambda: Ensemble([dry], method='mc_dropout'),
            ('empty', 'member_'): lambda: Ensemble([tmp_path / 'empty']),
            ('no checkpoint',): lambda: Ensemble([])}.items():
        with pytest.raises(InputError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), caught.value


def test_a_checkpoint_that_is_given_twice_is_refused(saved, tmp_path):
    """As a folder of members with one of them beside it: it would count twice, unsaid."""
    one = saved('a')
    folder = tmp_path / 'ensemble/member_00'
    folder.mkdir(parents=True)
    member = folder / 'best.safetensors'
    member.write_bytes(saved('b', 1).read_bytes())
    assert len(Ensemble([one, folder.parent]).members) == 2
    for given in ([folder.parent, one, member], [one, tmp_path / 'ensemble/../a.safetensors']):
        with pytest.raises(InputError, match='is given twice'):
            Ensemble(given)


def test_a_sub_ensemble_is_not_for_the_robot(saved):
    network, metadata = load_checkpoint(saved('heads', num_heads=2))
    with pytest.raises(InputError, match='distil'):
        Predictor(network, replace(metadata), device='cpu')


def test_what_does_not_answer_as_it_was_trained_is_named_by_its_file(saved, capsys, caplog):
    """A launch file or a script may name several: 'num_heads is 2' says of none which."""
    heads = saved('heads', num_heads=2)
    with pytest.raises(InputError, match=f"^{heads}: field 'architecture.num_heads' is 2: a sub-"):
        Predictor.load(heads, 'cpu')
    for command in (['benchmark', '--checkpoint', str(heads), '--device', 'cpu'],
                    ['export', '--model', str(heads), '--out', str(heads.with_suffix('.onnx'))]):
        assert emu.main(command) == 1
        assert f'{heads}: field' in capsys.readouterr().err, command
    dropping = saved('b', provenance={'recipe': {'method': 'mc_dropout'}})
    Predictor.load(dropping, 'cpu', backend='eager').close()
    assert f'{dropping}: was trained with Monte Carlo dropout' in caplog.text
