# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is not known, as outputs beside the tasks': exact, proven, and absent where not learned."""

from __future__ import annotations

import copy
from dataclasses import replace

from core_bench import make_metadata, make_network
from emu_perception.backends import BACKENDS, eager, is_installed
from emu_perception.checkpoint import load_checkpoint, save_checkpoint
from emu_perception.errors import InputError
from emu_perception.exporting.proof import proof
from emu_perception.exporting.whole_model import WholeModel
from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.predictions import fused_prediction
from emu_perception.maps import MAPS, maps_of
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, outputs_at, SEGMENTATION
from emu_perception.outputs import EPISTEMIC
from emu_perception.predictor import Predictor
from emu_perception.topics import TOPICS, topics_of
from emu_perception.uncertainty import predictive_moments
import numpy as np
import pytest
from rounding import NETWORK
from test_folded_heads import as_near
import torch
from torch.nn import functional as F

OTHERS = [name for name, record in BACKENDS.items()
          if name != 'eager' and 'cpu' in record.devices]
BESIDE = ('mutual_information', 'depth_epistemic_variance')


def knowing(**arguments) -> MultitaskNetwork:
    """Return a network whose further outputs differ from pixel to pixel."""
    network = make_network('resnet18', epistemic=True, **arguments)
    for task in network.tasks:
        torch.nn.init.normal_(network.head(task).epistemic.weight, std=0.3)
    return network


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.mark.parametrize('size', [(96, 128), (75, 101)])
def test_the_folded_heads_give_them_exactly(size):
    network, images = knowing(), torch.randn(2, 3, *size)
    with torch.no_grad():
        published, folded = network.forward_published(images), network.folded()(images)
        ours = network(images)
        exact = copy.deepcopy(network).double().forward_published(images.double())
    assert list(folded) == [SEGMENTATION, DEPTH, *EPISTEMIC.values()]
    for name in folded:
        assert as_near(exact[name], published[name], folded[name], ours[name])
    assert folded[EPISTEMIC[DEPTH]].shape[1] == 1


def test_a_network_without_them_is_as_it_was():
    torch.manual_seed(0)
    plain = MultitaskNetwork('resnet18', num_classes=5, head_dim=16)
    torch.manual_seed(0)
    more = MultitaskNetwork('resnet18', num_classes=5, head_dim=16, epistemic=True)
    assert 'epistemic' not in plain.arguments and more.arguments['epistemic'] is True
    assert plain.folded().tasks == (SEGMENTATION, DEPTH)
    further = more.state_dict().keys() - plain.state_dict().keys()
    assert further == {f'heads.{task}.epistemic.{part}' for task in (SEGMENTATION, DEPTH)
                       for part in ('weight', 'bias')}
    # With the same weights the tasks' maps are the same to the last bit.
    more.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        one, two = plain.eval().folded()(images), more.eval().folded()(images)
    assert all(torch.equal(one[task], two[task]) for task in (SEGMENTATION, DEPTH))


def test_they_are_upsampled_and_then_made_positive_as_mean_and_variance_are():
    raw = {task: torch.randn(1, 1, 24, 32) for task in EPISTEMIC.values()}
    found = outputs_at({**raw, DEPTH: torch.randn(1, 2, 24, 32)}, (96, 128))
    for name, task in (('mutual_information', EPISTEMIC[SEGMENTATION]),
                       ('depth_epistemic', EPISTEMIC[DEPTH])):
        expected = F.softplus(F.interpolate(raw[task], size=(96, 128), mode='bilinear'))[:, 0]
        assert torch.equal(getattr(found, name), expected)


@pytest.mark.parametrize('tasks', [(SEGMENTATION,), (DEPTH,), (SEGMENTATION, DEPTH)])
def test_a_prediction_has_the_maps_of_the_checkpoints_tasks(tasks, tmp_path):
    network = knowing(tasks=tasks)
    save_checkpoint(tmp_path / 'a.safetensors', network, make_metadata(network))
    loaded, metadata = load_checkpoint(tmp_path / 'a.safetensors')
    assert metadata.outputs == (*tasks, *(EPISTEMIC[task] for task in tasks))
    found = Predictor(loaded, metadata, device='cpu', backend='eager')(picture(), fx=100.0)
    assert found.maps.keys() == {row.name for row in maps_of(metadata.outputs)}
    assert (found.mutual_information is None) == (SEGMENTATION not in tasks)
    assert (found.depth_epistemic_sigma is None) == (DEPTH not in tasks)
    for name in BESIDE:
        if name in found.maps:
            assert (found.maps[name] >= 0).all() and found.maps[name].std() > 0


def test_metres_that_are_not_known_are_scaled_with_the_depth_and_not_with_its_calibration():
    network = knowing()
    metadata = make_metadata(network)
    predictor = Predictor(network, metadata, device='cpu', backend='eager')
    one, two = predictor(picture(), fx=100.0), predictor(picture(), fx=200.0)
    assert np.allclose(two.maps[BESIDE[1]], 4 * one.maps[BESIDE[1]], rtol=NETWORK)
    other = replace(metadata, calibration=replace(metadata.calibration, variance_scale=3.0))
    calibrated = Predictor(network, other, device='cpu', backend='eager')(picture(), fx=100.0)
    assert np.array_equal(calibrated.maps[BESIDE[1]], one.maps[BESIDE[1]])
    assert np.array_equal(one.mutual_information, two.mutual_information)


def test_with_a_depth_camera_they_stay_the_networks_in_its_new_metres():
    network = knowing()
    prediction = Predictor(network, make_metadata(network), device='cpu', backend='eager')(
        picture(), fx=100.0)
    belief = replace(ScaleBelief.before(), camera=0.5)
    found, fused = fused_prediction(prediction, picture(), None, belief)
    factor = np.float32(fused.belief.factor ** 2)
    assert factor > 2.0
    assert np.array_equal(found.maps[BESIDE[1]], prediction.maps[BESIDE[1]] * factor)


def test_their_topics_are_there_where_the_checkpoint_has_them_and_their_metres_are_guarded():
    names = {MAPS[name].topic for name in BESIDE}
    tasks = (SEGMENTATION, DEPTH)
    assert not names & {topic.name for topic in topics_of(tasks)}
    assert names <= {topic.name for topic in topics_of((*tasks, *EPISTEMIC.values()))}
    assert TOPICS[MAPS[BESIDE[1]].topic].in_metres
    assert not TOPICS[MAPS[BESIDE[0]].topic].in_metres


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_every_backend_proves_them_too(name):
    if not is_installed(name):
        pytest.skip(f'NOT TESTED: {name} is not installed (requirements/cpu.txt)')
    network = knowing()
    one, two = (Predictor(network, make_metadata(network), device='cpu', backend=which)
                for which in ('eager', name))
    assert two.backend == name
    a, b = one(picture(), fx=100.0), two(picture(), fx=100.0)
    assert a.maps.keys() == b.maps.keys() >= {*BESIDE}
    for field in BESIDE:
        assert np.allclose(a.maps[field], b.maps[field], rtol=NETWORK, atol=NETWORK)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_a_backend_that_gets_them_wrong_is_refused(name, monkeypatch, log):
    if not is_installed(name):
        pytest.skip(f'NOT TESTED: {name} is not installed (requirements/cpu.txt)')
    right = eager.epistemic_maps
    monkeypatch.setattr(eager, 'epistemic_maps', lambda raw, size: {
        key: 1.01 * values + 0.01 for key, values in right(raw, size).items()})
    network = knowing()
    assert Predictor(network, make_metadata(network), device='cpu',
                     backend=name).backend == 'eager'
    assert 'mutual_information' in log.text


def test_an_exported_model_has_them_as_the_predictor_has():
    network = knowing()
    network.initialize_depth(3.0, 0.5)
    metadata = make_metadata(network)
    model = WholeModel(network, metadata, (96, 128)).eval()
    assert model.names[5:7] == BESIDE

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [values.numpy() for values in model(torch.from_numpy(batch))]
    found = proof(run, model, Predictor(network, metadata, device='cpu', backend='eager'),
                  [picture()], (96, 128), 1, 1e-4)
    assert found.images == 1 and found.largest.keys() >= {*BESIDE}


def test_what_samples_disagree_by_is_the_entropy_of_the_mean_less_their_own():
    logits = [torch.tensor([[[[20.0]], [[0.0]]]]), torch.tensor([[[[0.0]], [[20.0]]]])]
    depths = [torch.full((1, 1, 1), metres) for metres in (1.0, 3.0)]
    samples = [(x, depth, torch.ones(1, 1, 1)) for x, depth in zip(logits, depths)]
    found = predictive_moments(samples, epistemic=True)
    assert found.mutual_information.item() == pytest.approx(np.log(2), abs=1e-6)
    assert found.depth_epistemic.item() == pytest.approx(1.0)
    assert predictive_moments(samples[:1], epistemic=True).mutual_information.item() == 0.0
    assert predictive_moments(samples).mutual_information is None


@pytest.mark.parametrize(('arguments', 'part'), [
    ({'epistemic': 1}, 'epistemic is 1'), ({'epistemic': True, 'num_heads': 2}, 'sub-ensemble')])
def test_arguments_that_cannot_be_are_one_clear_line(arguments, part):
    with pytest.raises(InputError, match=part):
        MultitaskNetwork('resnet18', **arguments)
