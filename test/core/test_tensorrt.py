# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Backend 'tensorrt' up to TensorRT itself: export, key, cache, control flow, falling back."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
import weakref

from core_bench import make_metadata, make_network
from cuda_bench import MAPS, picture, two
from emu_perception.backends import tensorrt
from emu_perception.backends.network_hash import network_hash
from emu_perception.backends.onnx_export import export_onnx, pooling_matrix
from emu_perception.cache_files import cache_folder, write_cached
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK, rounding
from tensorrt_bench import pretend_tensorrt
import torch
from torch.nn import functional as F


@pytest.fixture
def fake_tensorrt(monkeypatch, tmp_path) -> ModuleType:
    """Have a TensorRT that is installed, with an empty cache."""
    return pretend_tensorrt(monkeypatch, tmp_path)


@pytest.fixture
def folder() -> Path:
    """Return where the engines of a test are."""
    return cache_folder('engines')


@pytest.mark.slow
# -- export --------------------------------------------------------------------------------------
@pytest.mark.parametrize(('encoder', 'context'), [
    ('mit_b0', None), ('tf_efficientnet_lite0', 'pyramid_pooling'),
    ('tf_efficientnet_lite0', 'transformer')])
def test_the_exported_file_is_the_network(encoder, context, tmp_path):
    runtime = pytest.importorskip('onnxruntime', reason='NOT TESTED: no onnxruntime')
    network = make_network(encoder, context=context).folded()
    before = network_hash(network)
    export_onnx(network, (160, 224), tmp_path / 'network.onnx')
    assert network_hash(network) == before
    session = runtime.InferenceSession(str(tmp_path / 'network.onnx'),
                                       providers=['CPUExecutionProvider'])
    assert [y.name for y in session.get_outputs()] == list(network.tasks)
    x = torch.randn(1, 3, 160, 224)
    with torch.no_grad():
        expected = network(x)
    for task, found in zip(network.tasks, session.run(None, {'image': x.numpy()})):
        assert np.allclose(found, expected[task].numpy(), rtol=NETWORK, atol=NETWORK)


@pytest.mark.parametrize(('length', 'side'), [(15, 6), (20, 6), (3, 6), (7, 1), (12, 3)])
def test_pooling_as_a_product_is_pooling(length, side):
    x = torch.randn(2, 4, length)
    # Either is a sum of up to that many terms and a division.
    bound = 2 * rounding(length + 2, float(x.abs().max()))
    assert torch.allclose(x @ pooling_matrix(length, side).T,
                          F.adaptive_avg_pool1d(x, side), rtol=0, atol=bound)


# -- hash -------------------------------------------------------------------------------------
def test_the_hash_changes_with_any_weight_and_layer():
    network = make_network().folded()
    before = network_hash(network)
    assert network_hash(make_network('mit_b0', num_classes=6).folded()) != before
    network.heads.get_buffer('depth_bias')[1] += 1e-6
    assert network_hash(network) != before


@pytest.mark.slow
# -- with something in TensorRT's place ----------------------------------------------------------
@pytest.mark.usefixtures('fake_cuda')
@pytest.mark.parametrize('encoder', ['mit_b0', 'tf_efficientnet_lite0'])
def test_an_engine_gives_what_pytorch_gives_with_and_without_graphs(fake_tensorrt, encoder):
    network = make_network(encoder, context='pyramid_pooling' if 'lite' in encoder else None)
    network.initialize_depth(3.0, 0.5)
    one, fast = two(network, make_metadata(network), 'tensorrt')
    assert fast.backend == 'tensorrt' and fake_tensorrt.flags == ['no TF32']
    for seed in range(4):
        image = picture(seed=seed)
        a, b = one(image, fx=90.0), fast(image, fx=90.0)
        for name in MAPS:
            assert np.allclose(getattr(a, name), getattr(b, name), rtol=NETWORK, atol=NETWORK,
                               equal_nan=True), name
    assert fake_tensorrt.built == 1


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_an_engine_is_built_once_for_its_key_and_said(fake_tensorrt, folder, caplog):
    caplog.set_level(logging.INFO, 'emu_perception')
    network = make_network()
    metadata = make_metadata(network)
    first = two(network, metadata, 'tensorrt')[1](picture())
    assert 'takes minutes, once' in caplog.text and len(list(folder.iterdir())) == 1
    again = two(network, metadata, 'tensorrt')[1](picture())
    assert fake_tensorrt.built == 1
    assert np.array_equal(first.depth_variance, again.depth_variance)
    for changes in ({'precision': 'fp16'}, {'precision': 'bf16'}):
        two(network, metadata, 'tensorrt', **changes)
    assert fake_tensorrt.built == 3 and fake_tensorrt.full == 2  # The two last layers.
    assert fake_tensorrt.flags == ['BF16', 'OBEY_PRECISION_CONSTRAINTS']
    fake_tensorrt.__version__ = '10.10'
    two(network, metadata, 'tensorrt')
    assert fake_tensorrt.built == 4 and len(list(folder.iterdir())) == 4


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
@pytest.mark.parametrize(('spoil', 'said'), [
    (lambda path: write_cached(path, path.stem, b'of another driver', ''), 'does not run'),
    # TensorRT would take the process down.
    (lambda path: path.write_bytes(path.read_bytes()[:-1]), 'is damaged')])
def test_an_engine_that_does_not_run_is_built_again(fake_tensorrt, folder, caplog, spoil, said):
    network = make_network()
    metadata = make_metadata(network)
    one, _ = two(network, metadata, 'tensorrt')
    path, = folder.iterdir()
    spoil(path)
    _, fast = two(network, metadata, 'tensorrt')
    assert fake_tensorrt.built == 2 and said in caplog.text
    assert np.allclose(one(picture()).depth_variance, fast(picture()).depth_variance, atol=NETWORK)


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_a_new_size_is_compiled_by_the_warm_up(fake_tensorrt):
    network = make_network()
    predictor = two(network, make_metadata(network), 'tensorrt')[1]
    predictor.warm_up((192, 96))
    assert fake_tensorrt.built == 2
    predictor(picture(192, 96))
    assert fake_tensorrt.built == 2


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_an_engine_lives_as_long_as_a_graph_that_reads_its_memory(fake_tensorrt, monkeypatch):
    monkeypatch.setattr(tensorrt, 'KEPT_SIZES', 1)
    network = make_network()
    _, fast = two(network, make_metadata(network), 'tensorrt')
    for _ in range(2):
        fast(picture())
    engines = fast._backend._model.network._engines
    used = weakref.ref(engines[96, 128])
    fast._backend.compile((64, 64))
    assert list(engines) == [(64, 64)] and used() is not None
    fast.close()
    assert used() is None


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_a_build_that_fails_falls_back_loudly_to_cuda(fake_tensorrt, monkeypatch, caplog):
    fake_tensorrt.Builder.build_serialized_network = lambda self, network, config: None
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu', backend='tensorrt')
    assert predictor.backend == 'cuda' and predictor(picture()).size == (96, 128)
    said = [message for message in caplog.messages if 'going on with cuda' in message]
    assert len(said) == 1 and 'gave no engine' in said[0] and '\n' not in said[0]


def test_without_tensorrt_the_name_is_refused_with_what_to_do(monkeypatch, fake_cuda):
    monkeypatch.setattr('emu_perception.backends.registry.is_installed',
                        lambda name: name != 'tensorrt')
    network = make_network()
    with pytest.raises(InputError, match='not installed: pip install tensorrt'):
        Predictor(network, make_metadata(network), device='cpu', backend='tensorrt')
