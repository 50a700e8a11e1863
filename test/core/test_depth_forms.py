# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A depth head that says logarithms: metres, sigma and density of it, alike wherever it runs."""

from __future__ import annotations

import copy
from dataclasses import replace
import math

from core_bench import make_metadata, make_network
from emu_perception.backends import BACKENDS, is_installed, openvino_conversion
from emu_perception.backends.network_hash import network_hash
from emu_perception.checkpoint import Calibration, load_checkpoint, save_checkpoint
from emu_perception.errors import CheckpointError, InputError
from emu_perception.exporting.proof import proof
from emu_perception.exporting.whole_model import WholeModel
from emu_perception.networks.depth_forms import DEPTH_FORMS, LINEAR, LOG_VARIANCE_FLOOR
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, outputs_at, SEGMENTATION
from emu_perception.networks.statistics import picture_statistics
from emu_perception.observer import Observer
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import EXACT, FEW, NETWORK, rounding
from test_folded_heads import as_near
import torch

LOG = DEPTH_FORMS['log']
OTHERS = [name for name, record in BACKENDS.items()
          if name != 'eager' and 'cpu' in record.devices]


def network_of_logarithms(**arguments) -> MultitaskNetwork:
    """Return a network whose depths lie about 3 m and differ from pixel to pixel."""
    network = make_network('resnet18', depth_output='log', **arguments)
    network.initialize_depth(3.0, 0.5)
    with torch.no_grad():
        network.head(DEPTH).classifier.weight.mul_(8.0)
    return network


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)


def some(count: int = 200) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return depth (m), variance (m²) and a true depth (m), float64 [N], of many sizes."""
    torch.manual_seed(0)
    m, s = torch.randn(2, count).double()
    depth, variance = LOG.moments(torch.stack([m, 0.5 * s - 1.5])[None, :, :, None])
    return depth[0, :, 0], variance[0, :, 0], (m + 0.3 * torch.randn(count)).exp()


def test_metres_and_sigma_by_hand():
    raw = torch.tensor([math.log(2.5), math.log(0.2)], dtype=torch.float64).view(1, 2, 1, 1)
    depth, variance = LOG.moments(raw)
    assert depth.item() == pytest.approx(2.5, rel=EXACT)
    assert variance.item() == pytest.approx(2.5**2 * (0.2**2 + LOG_VARIANCE_FLOOR), rel=EXACT)
    # Half the width of the central 68 %, from the quantiles of the logarithm, to first order.
    half = (2.5 * math.exp(0.2) - 2.5 * math.exp(-0.2)) / 2
    assert variance.sqrt().item() < half < variance.sqrt().item() * (1 + 0.2**2 / 6 + 0.2**4)


def test_the_variance_is_above_zero_and_in_float32_where_an_exponential_underflows():
    raw = torch.full((1, 2, 4, 4), -300.0, dtype=torch.float16)
    raw[:, 0] = 1.0
    depth, variance = LOG.moments(raw)
    assert depth.dtype == variance.dtype == torch.float32 and float(variance.min()) > 0


@pytest.mark.parametrize('form', DEPTH_FORMS.values(), ids=DEPTH_FORMS)
def test_the_density_is_one_in_metres_and_integrates_to_one(form):
    depth, variance, truth = some()
    law = (torch.distributions.Normal(depth, variance.sqrt()) if form is LINEAR else
           torch.distributions.LogNormal(depth.log(), variance.sqrt() / depth))
    mean, own, y = form.as_gaussian(depth, variance, truth)
    found = torch.distributions.Normal(mean, own.sqrt()).log_prob(y) + form.log_slope(truth)
    assert torch.allclose(found, law.log_prob(truth), rtol=1e-9, atol=1e-9)
    metres = torch.linspace(1e-4, 60.0, 600_000).double()
    three, third = torch.tensor(3.0).double(), torch.tensor(0.4).double()
    mean, own, y = form.as_gaussian(three, third, metres)
    whole = (torch.distributions.Normal(mean, own.sqrt()).log_prob(y)
             + form.log_slope(metres)).exp().sum() * (metres[1] - metres[0])
    assert float(whole) == pytest.approx(1.0, abs=1e-5)


def test_a_calibration_is_one_of_log_sigma_and_another_camera_one_of_the_mean():
    depth, variance, truth = some()
    mean, own, _ = LOG.as_gaussian(depth, variance, truth)
    after, calibrated, _ = LOG.as_gaussian(depth, 1.7 * variance, truth)
    assert torch.equal(mean, after) and torch.allclose(calibrated, 1.7 * own, rtol=EXACT)
    moved, same, _ = LOG.as_gaussian(1.3 * depth, 1.3**2 * variance, truth)
    assert torch.allclose(moved, mean + math.log(1.3), atol=EXACT)
    assert torch.allclose(same, own, rtol=EXACT)


@pytest.mark.parametrize('variance', [0.7, 0.0, float('nan'), 1e4])
def test_the_head_starts_at_the_datas_moments_and_is_finite_whatever_they_are(variance):
    median, log_sigma = LOG.start(2.5, variance)
    assert math.isfinite(median) and math.isfinite(log_sigma)
    if variance > 0:
        law = torch.distributions.LogNormal(median, math.exp(log_sigma))
        assert float(law.mean) == pytest.approx(2.5, rel=1e-4)
        assert float(law.variance) == pytest.approx(variance, rel=1e-2)


@pytest.mark.parametrize('form', DEPTH_FORMS)
def test_depths_of_a_last_layer_are_scaled_exactly(form):
    network = make_network('resnet18', depth_output=form)
    network.initialize_depth(3.0, 0.5)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = network.outputs_at(network(images), (64, 96))
        network.scale_depth(1.25, network.arguments)
        after = network.outputs_at(network(images), (64, 96))
    assert torch.allclose(after.depth, 1.25 * before.depth, rtol=NETWORK)
    # A factor of the lens leaves a relative sigma alone, and the paper's form a sigma in metres.
    was, now = (one.depth_variance / (one.depth**2 if form == 'log' else 1.0)
                for one in (before, after))
    assert torch.allclose(now, was, rtol=NETWORK)


@pytest.mark.parametrize('size', [(96, 128), (75, 101)])
@pytest.mark.parametrize('more', [{}, {'epistemic': True}], ids=['plain', 'epistemic'])
def test_the_folded_network_says_the_same(size, more):
    network, images = network_of_logarithms(**more), torch.randn(2, 3, *size)
    folded = network.folded()
    with torch.no_grad():
        published, ours, theirs = (one(images) for one in (
            network.forward_published, network, folded))
        exact = copy.deepcopy(network).double().forward_published(images.double())
    assert as_near(exact[DEPTH], published[DEPTH], theirs[DEPTH], ours[DEPTH])
    one, two = network.outputs_at(ours, size), folded.outputs_at(theirs, size)
    assert torch.allclose(one.depth, two.depth, rtol=NETWORK, atol=NETWORK)
    expected = outputs_at(ours, size, LOG)
    assert torch.equal(one.depth, expected.depth)
    assert torch.equal(one.depth_variance, expected.depth_variance)


def test_a_checkpoint_says_it_and_one_of_the_papers_form_is_as_it_was(tmp_path):
    network, path = network_of_logarithms(), tmp_path / 'a.safetensors'
    save_checkpoint(path, network, make_metadata(network))
    loaded, metadata = load_checkpoint(path)
    assert metadata.architecture['depth_output'] == 'log' and loaded.depth_form is LOG
    assert metadata.depth_form is LOG and loaded.folded().depth_form is LOG
    assert 'logarithm' in loaded.description(metadata.architecture)
    plain = make_network('resnet18')
    assert 'depth_output' not in plain.arguments and plain.depth_form is LINEAR
    assert make_metadata(plain).depth_form is LINEAR
    assert 'depth' not in plain.description(plain.arguments)


@pytest.mark.parametrize(('arguments', 'words'), [
    ({'depth_output': 'logarithm'}, "depth_output is 'logarithm': give linear or log"),
    ({'depth_output': ['log']}, 'depth_output is'),
    ({'depth_output': 'log', 'tasks': (SEGMENTATION,)}, 'leave it out')])
def test_what_cannot_be_is_one_clear_line(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        MultitaskNetwork('resnet18', **arguments)
    assert '\n' not in str(caught.value)


def test_a_form_of_another_version_is_an_error_that_names_the_file(tmp_path):
    network, path = network_of_logarithms(), tmp_path / 'a.safetensors'
    network.arguments['depth_output'] = 'cubic'
    with pytest.raises(CheckpointError, match="a.safetensors.*depth_output is 'cubic'"):
        save_checkpoint(path, network, make_metadata(network))
        load_checkpoint(path)


def test_metres_follow_the_lens_the_calibration_and_the_range():
    network = network_of_logarithms()
    metadata = make_metadata(network, calibration=Calibration())
    one, wide, calibrated, short = (
        Predictor(network, changed, device='cpu', backend='eager')(picture(), fx=fx)
        for changed, fx in (
            (metadata, 100.0), (metadata, 200.0),
            (replace(metadata, calibration=Calibration(variance_scale=2.25)), 100.0),
            (replace(metadata, depth_max=3.0), 100.0)))
    assert np.allclose(wide.depth, 2 * one.depth, rtol=NETWORK)
    assert np.allclose(wide.depth_sigma, 2 * one.depth_sigma, rtol=NETWORK)
    assert np.allclose(calibrated.depth_sigma, 1.5 * one.depth_sigma, rtol=NETWORK)
    for score, factor in (('relative_depth_sigma', 1.0), ('depth_sigma', 2.0)):
        assert wide.scores[score] == pytest.approx(factor * one.scores[score], rel=NETWORK)
    assert 0 < np.isinf(short.depth).mean() < 1
    inside = np.isfinite(short.depth)
    assert np.array_equal(short.depth[inside], one.depth[inside])


def test_statistics_and_observer_read_the_logarithm():
    raw = {DEPTH: torch.randn(1, 2, 6, 4) - 1.0}
    mean = picture_statistics([], raw, LOG)[0, -2]
    assert float(mean) == pytest.approx(float(raw[DEPTH][0, 0, ::2, ::2].mean()),
                                        abs=rounding(FEW, 4.0))
    network = network_of_logarithms()
    metadata = make_metadata(network)
    seen = Observer(network, metadata, 'x')(picture())
    found = Predictor(network, metadata, device='cpu', backend='eager')(picture())
    for name in ('depth_sigma', 'relative_depth_sigma'):
        assert seen.scores[name] == pytest.approx(found.scores[name], rel=NETWORK)


def test_caches_tell_it_from_a_network_of_the_same_weights():
    one = make_network('resnet18')
    two = MultitaskNetwork(**{**one.arguments, 'depth_output': 'log'}).eval()
    two.load_state_dict(one.state_dict())
    assert network_hash(one) != network_hash(two)
    assert network_hash(one.folded()) != network_hash(two.folded())


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_every_backend_proves_it(name):
    if not is_installed(name):
        pytest.skip(f'NOT TESTED: {name} is not installed (requirements/cpu.txt)')
    network = network_of_logarithms()
    one, two = (Predictor(network, make_metadata(network), device='cpu', backend=which)
                for which in ('eager', name))
    assert two.backend == name, two.backend_notes
    a, b = one(picture(), fx=100.0), two(picture(), fx=100.0)
    assert np.allclose(a.depth, b.depth, rtol=10 * NETWORK, equal_nan=True)
    assert np.allclose(a.depth_variance, b.depth_variance, rtol=20 * NETWORK)
    for score, value in a.scores.items():
        assert b.scores[score] == pytest.approx(value, rel=10 * NETWORK)


@pytest.mark.slow
def test_a_backend_that_takes_logarithms_for_metres_is_refused(monkeypatch, log):
    if not is_installed('openvino'):
        pytest.skip('NOT TESTED: openvino is not installed (requirements/cpu.txt)')
    made = openvino_conversion.Maps

    def maps(*arguments, **named):
        return made(*arguments, **{**named, 'form': LINEAR})
    monkeypatch.setattr(openvino_conversion, 'Maps', maps)
    monkeypatch.setattr(openvino_conversion, '_convert_beside', lambda folder: 1 / 0)
    network = network_of_logarithms()
    found = Predictor(network, make_metadata(network), device='cpu', backend='openvino')
    assert found.backend == 'eager' and 'depth is' in log.text


def test_an_exported_model_gives_the_predictors_metres():
    network = network_of_logarithms()
    metadata = make_metadata(network)
    model = WholeModel(network, metadata, (96, 128)).eval()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [values.numpy() for values in model(torch.from_numpy(batch))]
    found = proof(run, model, Predictor(network, metadata, device='cpu', backend='eager'),
                  [picture()], (96, 128), 1, 1e-4)
    assert found.images == 1 and {'depth', 'depth_variance'} <= found.largest.keys()
