# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Backends give what PyTorch gives; one that is not to be had is refused or fallen back from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import logging

from core_bench import make_metadata, make_network, Stub
from emu_perception.backends import BACKENDS, is_installed, registry
from emu_perception.errors import InputError
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK, unit
import torch

MAPS = ('depth', 'segmentation_entropy', 'confidence', 'depth_variance')
OTHERS = [name for name, record in BACKENDS.items()
          if name != 'eager' and 'cpu' in record.devices]


def need(name: str) -> None:
    if not is_installed(name):
        pytest.skip(f'NOT TESTED: {name} is not installed (requirements/cpu.txt)')


def picture(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize(('encoder', 'context'), [
    ('mit_b0', None), ('tf_efficientnet_lite0', 'pyramid_pooling'),
    ('tf_efficientnet_lite0', 'transformer')])
def test_a_backend_gives_what_pytorch_gives_in_float32(name, encoder, context):
    need(name)
    network = make_network(encoder, context=context)
    metadata = make_metadata(network)
    one, two = (Predictor(network, metadata, device='cpu', backend=backend)
                for backend in ('eager', name))
    assert (one.backend, two.backend) == ('eager', name)
    # The image's own size, and another one at the network than the graph was first made for.
    for image in (picture(), picture(96, 160, 1)):
        a, b = one(image, fx=100.0), two(image, fx=100.0)
        for field in MAPS:
            x, y = getattr(a, field), getattr(b, field)
            assert y.dtype == x.dtype and y.shape == x.shape and y.flags.c_contiguous
            known = np.isfinite(x) & np.isfinite(y)
            assert np.allclose(x[known], y[known], rtol=NETWORK, atol=NETWORK), field
            assert (np.isfinite(x) == np.isfinite(y)).mean() > 0.999
        assert (a.label != b.label).mean() < 1e-3 and b.label.dtype == np.uint8
        assert b.scores['depth_sigma'] == pytest.approx(a.scores['depth_sigma'], rel=NETWORK)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('task', [SEGMENTATION, DEPTH])
def test_a_single_task_runs_on_every_backend(name, task):
    need(name)
    network = make_network(tasks=(task,))
    prediction = Predictor(network, make_metadata(network), device='cpu', backend=name)(picture())
    assert (prediction.label is None) == (task == DEPTH)
    assert (prediction.depth is None) == (task == SEGMENTATION)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize('raw', [-16.0, -9.0, -4.25, -3.75, 0.0, 12.0])
def test_small_variances_are_exact_and_reduced_precision_leaves_the_maps_in_float32(
        name, precision, raw):
    """
    The logarithm of 1 + e^x as it is written loses e^x beside the 1: u / e^x of it.

    Which is 5e-4 at x = -9; a quarter of that is allowed. Maps in bf16 would be 4e-3 off.
    """
    need(name)
    network = make_network()
    with torch.no_grad():
        network.head(DEPTH).classifier.weight.zero_()
        network.head(DEPTH).classifier.bias.copy_(torch.tensor([2.0, raw]))
    metadata = make_metadata(network)
    prediction = Predictor(network, metadata, device='cpu', backend=name, precision=precision)(
        picture())
    expected = (np.log1p(np.exp(raw)) + 1e-6) * metadata.calibration.variance_scale
    assert np.allclose(prediction.depth_variance, expected, rtol=unit() * np.exp(9.0) / 4, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_maps_stay_what_they_were_when_the_next_image_comes(name):
    """A backend's memory is written over by the next image: a prediction must own its maps."""
    need(name)
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend=name)
    image = picture(96, 128)
    first = predictor(image)
    before = {field: getattr(first, field).copy() for field in MAPS}
    predictor(picture(96, 128, 5))
    assert all(np.array_equal(getattr(first, f), before[f], equal_nan=True) for f in MAPS)


@pytest.mark.slow
@pytest.mark.parametrize('name', OTHERS)
def test_threads_and_changing_sizes_do_not_mix_up(name):
    need(name)
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend=name)
    images = [picture(*size, seed) for seed, size in enumerate(
        ((96, 128), (128, 96), (96, 192), (64, 128), (160, 96), (96, 128)))]
    expected = [predictor(image).depth_variance for image in images]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda image: predictor(image).depth_variance, images * 2))
    for one, two in zip(expected * 2, found):
        assert np.array_equal(one, two)


def test_auto_takes_the_fastest_that_is_installed_and_says_which(monkeypatch, caplog):
    caplog.set_level(logging.INFO, 'emu_perception')
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))
    monkeypatch.setattr(registry, 'is_installed', lambda name: name == 'eager')
    network = make_network()
    assert Predictor(network, make_metadata(network), device='cpu').backend == 'eager'
    assert 'eager' in caplog.text


def test_auto_falls_back_loudly_from_a_network_the_fast_one_cannot_take(monkeypatch, caplog):
    need('openvino')
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))

    def strange(x: torch.Tensor) -> dict[str, torch.Tensor]:
        raise RuntimeError('an operation nobody knows')
    metadata = make_metadata(make_network())
    predictor = Predictor(Stub(strange), metadata, device='cpu')
    assert predictor.backend == 'eager'
    assert 'cannot take this network' in caplog.text and 'slower' in caplog.text


@pytest.mark.parametrize(('name', 'words'), [
    ('tensorflow', ["'tensorflow'", 'auto, eager, openvino']),
    ('openvino', ['not installed', 'pip install openvino']),
    # Gigabytes that would be in vain are not asked for.
    ('tensorrt', ['runs on cuda', "not on 'cpu'"])])
def test_a_backend_that_is_not_to_be_had_is_refused_with_what_to_do(monkeypatch, name, words):
    monkeypatch.setattr(registry, 'is_installed', lambda name: name == 'eager')
    network = make_network()
    with pytest.raises(InputError) as caught:
        Predictor(network, make_metadata(network), device='cpu', backend=name)
    assert all(word in str(caught.value) for word in words)
