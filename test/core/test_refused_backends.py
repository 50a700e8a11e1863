# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A backend that errs is refused when it is made, or at a new size, and PyTorch answers."""

from __future__ import annotations

import logging
import math
import threading

from core_bench import make_metadata, make_network
from cuda_bench import picture, spoil_graphs
from emu_perception.backends import BACKENDS, cuda_network, is_installed, registry
from emu_perception.backends.cuda_network import DeviceNetwork
from emu_perception.backends.openvino_graphs import GraphStages
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, SEGMENTATION
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK
from tensorrt_bench import pretend_tensorrt
import torch

WRONG = {
    'depth 1.3 times too large': (DEPTH, lambda raw: raw[:, 0].mul_(1.3), 'depth'),
    'labels permuted': (SEGMENTATION, lambda raw: raw.copy_(raw.roll(1, dims=1)), 'labels'),
    'no number in one corner': (DEPTH, lambda raw: raw[:, 1, -1, 0].fill_(math.nan),
                                'depth_variance is no answer')}


@pytest.fixture
def network() -> MultitaskNetwork:
    """Return a network with logits of several units and depths of some metres."""
    network = make_network()
    network.initialize_depth(3.0, 0.5)
    with torch.no_grad():
        network.head(SEGMENTATION).classifier.weight.mul_(8.0)
    return network


def equal(one: Prediction, two: Prediction) -> None:
    """Hold against each other what must come from the same backend."""
    assert one.maps.keys() == two.maps.keys() and one.scores == two.scores
    for name, values in one.maps.items():
        assert np.array_equal(values, two.maps[name], equal_nan=values.dtype != np.uint8), name


def assert_eager_answers(network, caplog, backend: str, named: str, words: str,
                         **arguments: str) -> None:
    """Make a predictor whose backend errs."""
    metadata = make_metadata(network)
    predictor = Predictor(network, metadata, device='cpu', backend=backend, **arguments)
    assert predictor.backend == 'eager'
    note, = (note for note in predictor.backend_notes if f"'{named}'" in note)
    assert 'refused' in note and words in note
    said, = (x for x in caplog.records if note in x.getMessage())
    assert said.levelno == logging.ERROR and 'going on with' in said.getMessage()
    plain = Predictor(network, metadata, device='cpu', backend='eager', **arguments)
    assert plain.backend_notes == ()
    equal(plain(picture(), fx=90.0), predictor(picture(), fx=90.0))


# -- OpenVINO ------------------------------------------------------------------------------------
def spoil_openvino(monkeypatch, change, when=lambda stages, raw: True) -> None:
    """Let OpenVINO's network give something else."""
    real = GraphStages.network

    def network(stages, x):
        raw = real(stages, x)
        if when(stages, raw):
            change({SEGMENTATION: torch.from_numpy(raw[0]), DEPTH: torch.from_numpy(raw[1])})
        return raw
    monkeypatch.setattr(GraphStages, 'network', network)


@pytest.fixture
def openvino(monkeypatch) -> None:
    """Let 'auto' be OpenVINO."""
    if not is_installed('openvino'):
        pytest.skip('NOT TESTED: openvino is not installed (requirements/cpu.txt)')
    monkeypatch.setattr(registry, 'preferred', lambda device: ('openvino', 'eager'))


@pytest.mark.slow
@pytest.mark.usefixtures('openvino')
@pytest.mark.parametrize('fault', WRONG)
@pytest.mark.parametrize('backend', ['auto', 'openvino'])
def test_openvino_that_errs_is_refused_however_it_was_asked_for(
        network, monkeypatch, caplog, backend, fault):
    task, change, words = WRONG[fault]
    spoil_openvino(monkeypatch, lambda raw: change(raw[task]))
    assert_eager_answers(network, caplog, backend, 'openvino', words)


@pytest.mark.slow
@pytest.mark.usefixtures('openvino')
def test_openvino_that_drifts_in_one_precision_is_refused_there_alone(
        network, monkeypatch, caplog):
    """As a CPU whose bfloat16 is broken would."""
    spoil_openvino(monkeypatch, lambda raw: raw[DEPTH][:, 0].mul_(1.3),
                   when=lambda stages, raw: stages.options.precision == 'bf16')
    fine = Predictor(network, make_metadata(network), device='cpu')
    assert fine.backend == 'openvino' and fine.backend_notes == ()
    assert_eager_answers(network, caplog, 'auto', 'openvino', 'depth', precision='bf16')


@pytest.mark.slow
@pytest.mark.usefixtures('openvino')
def test_a_size_at_which_openvino_errs_is_left_to_pytorch(network, monkeypatch, caplog):
    metadata = make_metadata(network)
    spoil_openvino(monkeypatch, lambda raw: raw[DEPTH][:, 1, 0, -1].fill_(math.nan),
                   when=lambda stages, raw: raw[0].shape[-1] == 48)
    one, plain = (Predictor(network, metadata, device='cpu', backend=backend)
                  for backend in ('auto', 'eager'))
    assert (one.backend, one.backend_notes) == ('openvino', ())
    wide = picture(96, 288)
    assert one.network_size((96, 288))[1] == 192
    for _ in range(3):
        equal(plain(wide, fx=90.0), one(wide, fx=90.0))
        for thread in threading.enumerate():
            if thread.name == 'emu_compile':
                thread.join(60)
    assert 'depth_variance is no answer' in one.backend_notes[0] and len(one.backend_notes) == 1
    assert caplog.text.count('stay with PyTorch') == 1
    assert np.allclose(plain(picture()).depth_variance, one(picture()).depth_variance,
                       rtol=NETWORK)


@pytest.mark.slow
@pytest.mark.usefixtures('openvino')
def test_a_named_openvino_that_errs_at_a_later_size_is_left_to_pytorch_there(
        network, monkeypatch, caplog):
    metadata = make_metadata(network)
    spoil_openvino(monkeypatch, lambda raw: raw[DEPTH][:, 0].mul_(1.3),
                   when=lambda stages, raw: raw[0].shape[-1] == 48)
    one, plain = (Predictor(network, metadata, device='cpu', backend=backend)
                  for backend in ('openvino', 'eager'))
    wide = picture(96, 288)
    for _ in range(2):
        equal(plain(wide, fx=90.0), one(wide, fx=90.0))
    one.warm_up((96, 288))
    assert 'depth is' in one.backend_notes[0] and len(one.backend_notes) == 1
    assert caplog.text.count('stay with PyTorch') == 1
    assert np.allclose(plain(picture()).depth_variance, one(picture()).depth_variance, rtol=1e-4)


# -- CUDA and TensorRT, with a CPU in the place of the GPU ---------------------------------------
def spoil_cuda(monkeypatch, change, when=lambda x: True) -> None:
    """Let the network on the GPU give something else."""
    real = DeviceNetwork.forward

    def forward(self, images):
        raw = real(self, images)
        if when(images):
            change(raw)
        return raw
    monkeypatch.setattr(cuda_network.DeviceNetwork, 'forward', forward)


@pytest.mark.usefixtures('fake_cuda')
@pytest.mark.parametrize('fault', WRONG)
@pytest.mark.parametrize('backend', ['auto', 'cuda'])
def test_cuda_that_errs_is_refused_however_it_was_asked_for(
        network, monkeypatch, caplog, backend, fault):
    monkeypatch.setattr(registry, 'preferred', lambda device: ('cuda', 'eager'))
    task, change, words = WRONG[fault]
    spoil_cuda(monkeypatch, lambda raw: change(raw[task]))
    assert_eager_answers(network, caplog, backend, 'cuda', words)


@pytest.mark.usefixtures('fake_cuda')
def test_cuda_that_drifts_in_float16_is_refused_there_alone(network, monkeypatch, caplog):
    spoil_cuda(monkeypatch, lambda raw: raw[DEPTH][:, 0].mul_(1.02),
               when=lambda x: x.dtype == torch.float16)
    for precision in ('fp32', 'bf16'):
        fine = Predictor(network, make_metadata(network), device='cpu', backend='cuda',
                         precision=precision)
        assert fine.backend == 'cuda' and fine.backend_notes == ()
    assert_eager_answers(network, caplog, 'cuda', 'cuda', 'depth is', precision='fp16')


@pytest.mark.usefixtures('fake_cuda')
def test_a_size_at_which_cuda_errs_is_left_to_pytorch(network, monkeypatch, caplog):
    metadata = make_metadata(network)
    spoil_cuda(monkeypatch, lambda raw: raw[DEPTH][:, 1, 0, -1].fill_(math.nan),
               when=lambda x: x.shape[-1] == 192)
    fast, plain = (Predictor(network, metadata, device='cpu', backend=backend)
                   for backend in ('cuda', 'eager'))
    wide = picture(96, 288)
    for _ in range(3):
        equal(plain(wide, fx=90.0), fast(wide, fx=90.0))
    note, = fast.backend_notes
    assert 'depth_variance is no answer' in note and '288x96' in note
    assert caplog.text.count('going on with eager') == 1
    assert np.allclose(plain(picture()).depth_variance, fast(picture()).depth_variance,
                       rtol=NETWORK)
    # One size is no reason to leave the others.
    tall = picture(192, 96)
    assert np.allclose(plain(tall).depth_variance, fast(tall).depth_variance, rtol=1e-4)
    fast(wide, size=(50, 60))
    assert len(fast.backend_notes) == 1 and fast._backend._failures == 0


@pytest.mark.usefixtures('fake_cuda')
def test_a_warm_up_at_a_size_at_which_cuda_errs_leaves_it_to_pytorch(network, monkeypatch):
    spoil_cuda(monkeypatch, lambda raw: raw[DEPTH][:, 0].mul_(1.3),
               when=lambda x: x.shape[-1] == 192)
    fast = Predictor(network, make_metadata(network), device='cpu', backend='cuda')
    fast.warm_up((96, 288))
    assert 'depth is' in fast.backend_notes[0] and len(fast.backend_notes) == 1
    plain = Predictor(network, make_metadata(network), device='cpu', backend='eager')
    equal(plain(picture(96, 288), fx=90.0), fast(picture(96, 288), fx=90.0))


@pytest.mark.usefixtures('fake_cuda')
def test_a_graph_that_gives_no_number_in_one_corner_is_not_used(network, monkeypatch, caplog):
    fast = Predictor(network, make_metadata(network), device='cpu', backend='cuda')
    spoil_graphs(monkeypatch, lambda raw: raw[DEPTH][:, 1, -1, -1].fill_(math.nan))
    for seed in range(3):
        assert np.isfinite(fast(picture(seed=seed)).depth_variance).all()
    assert 'other maps than the same work without it' in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
@pytest.mark.parametrize('fault', WRONG)
def test_an_engine_that_errs_is_refused_and_cuda_answers(
        network, monkeypatch, tmp_path, caplog, fault):
    task, change, words = WRONG[fault]
    pretend_tensorrt(monkeypatch, tmp_path).spoil = lambda name, values: (
        name == task and change(torch.from_numpy(values)))
    metadata = make_metadata(network)
    predictor = Predictor(network, metadata, device='cpu', backend='tensorrt')
    assert predictor.backend == 'cuda'
    note, = predictor.backend_notes
    assert "'tensorrt' is refused" in note and words in note
    assert 'going on with cuda' in caplog.text
    plain = Predictor(network, metadata, device='cpu', backend='eager')(picture())
    assert np.allclose(plain.depth_variance, predictor(picture()).depth_variance, rtol=NETWORK)


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_an_engine_that_drifts_in_float16_is_refused_there_alone(
        network, monkeypatch, tmp_path):
    trt = pretend_tensorrt(monkeypatch, tmp_path)
    trt.spoil = lambda name, values: name == DEPTH and 'FP16' in trt.flags and np.multiply(
        values[:, 0], 1.02, out=values[:, 0])
    found = {precision: Predictor(network, make_metadata(network), device='cpu',
                                  backend='tensorrt', precision=precision)
             for precision in ('fp32', 'fp16')}
    assert [predictor.backend for predictor in found.values()] == ['tensorrt', 'cuda']
    assert 'depth is' in found['fp16'].backend_notes[0]


@pytest.mark.slow
@pytest.mark.usefixtures('fake_cuda')
def test_an_engine_from_a_file_that_errs_is_built_again_once(
        network, monkeypatch, tmp_path, caplog):
    trt = pretend_tensorrt(monkeypatch, tmp_path)
    metadata = make_metadata(network)
    Predictor(network, metadata, device='cpu', backend='tensorrt')
    assert trt.built == 1
    # As after another driver: what was right when it was built no longer is.
    trt.spoil = lambda name, values: trt.built == 1 and values.fill(0.5)
    predictor = Predictor(network, metadata, device='cpu', backend='tensorrt')
    assert (trt.built, predictor.backend, predictor.backend_notes) == (2, 'tensorrt', ())
    assert 'was made again' in caplog.text
    trt.spoil = lambda name, values: values.fill(0.5)
    predictor = Predictor(network, metadata, device='cpu', backend='tensorrt')
    assert (trt.built, predictor.backend) == (3, 'cuda')


@pytest.mark.slow
def test_where_every_fast_one_errs_pytorch_answers_and_all_are_named(
        network, monkeypatch, tmp_path, fake_cuda):
    pretend_tensorrt(monkeypatch, tmp_path).spoil = lambda name, values: values.fill(0.5)
    spoil_cuda(monkeypatch, lambda raw: raw[DEPTH].fill_(0.5))
    predictor = Predictor(network, make_metadata(network), device='cpu', backend='tensorrt')
    assert predictor.backend == 'eager'
    assert ["'tensorrt'" in predictor.backend_notes[0], "'cuda'" in predictor.backend_notes[1],
            len(predictor.backend_notes)] == [True, True, 2]


def test_pytorch_needs_no_proof_and_every_other_kind_of_backend_is_tried_here():
    assert set(BACKENDS) == {'eager', 'openvino', 'cuda', 'tensorrt'}
