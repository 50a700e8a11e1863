# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever of backend 'cuda' fails is said, and the plain form gives the same image's result."""

from __future__ import annotations

import logging

from core_bench import make_metadata, make_network, Stub
from cuda_bench import assert_same, picture, Runtime, spoil_graphs, Tape, two
from emu_perception.backends import cuda, cuda_kernels, cuda_program, registry
from emu_perception.errors import InputError
from emu_perception.networks.multitask import DEPTH
from emu_perception.predictor import Predictor
import pytest
import torch

pytestmark = pytest.mark.usefixtures('fake_cuda')


def test_a_capture_that_fails_is_said_once_and_goes_on_without_a_graph(monkeypatch, caplog):
    network = make_network()
    one, fast = two(network, make_metadata(network))

    def refuse(self, function):
        raise RuntimeError('CUDA error: operation not permitted\nwhen stream is capturing')
    monkeypatch.setattr(Runtime, 'capture', refuse)
    for seed in range(4):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))
    said = [x.message for x in caplog.records if 'no CUDA graph' in x.message]
    assert len(said) == 1 and 'not permitted when stream is capturing' in said[0]
    assert fast._backend._eager is None


def test_a_graph_that_gives_something_else_is_not_used(monkeypatch, caplog):
    network = make_network()
    one, fast = two(network, make_metadata(network))
    spoil_graphs(monkeypatch, lambda raw: raw[DEPTH].add_(1.0))
    for seed in range(3):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))
    assert 'other maps than the same work without it' in caplog.text


def test_work_that_waits_for_the_gpu_cannot_be_captured():
    """The tests' graph refuses what CUDA's would; without this they would prove less."""
    with pytest.raises(RuntimeError, match='not permitted'), Tape():
        float(torch.ones(3).sum())
    with pytest.raises(RuntimeError, match='not permitted'), Tape():
        torch.ones(3).nonzero()


@pytest.mark.parametrize('error', [RuntimeError('CUDA error: unspecified launch failure'),
                                   torch.cuda.OutOfMemoryError('CUDA out of memory. Tried 2 GiB')])
def test_a_failing_fast_path_gives_the_plain_result_for_the_same_image(
        monkeypatch, caplog, fake_cuda, error):
    network = make_network()
    one, fast = two(network, make_metadata(network))
    image = picture()
    assert_same(one(image, fx=90.0), fast(image, fx=90.0))
    good = cuda_program.Program.network

    def fail(self, x):
        raise error
    monkeypatch.setattr(cuda_program.Program, 'network', fail)
    for seed in range(3):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))
    said = [x.message for x in caplog.records if 'fast path failed' in x.message]
    assert len(said) == 1 and 'going on with eager' in said[0] and '128x96' in said[0]
    again = [x for x in caplog.records if 'the next one tries again' in x.message]
    assert len(again) == isinstance(error, torch.cuda.OutOfMemoryError)
    assert fake_cuda[-1].freed == 2 * isinstance(error, torch.cuda.OutOfMemoryError)
    monkeypatch.setattr(cuda_program.Program, 'network', good)
    # Another size still has the fast path.
    other = picture(128, 96)
    assert_same(one(other, fx=90.0), fast(other, fx=90.0))
    assert sum(plan is not None for plan in fast._backend._plans.values()) == 1


def test_a_passing_lack_of_memory_costs_one_image_and_not_the_fast_path(monkeypatch, fake_cuda):
    network = make_network()
    one, fast = two(network, make_metadata(network))
    good, left = cuda_program.Program.network, [1]

    def short(self, x):
        if left and left.pop():
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried 2 GiB')
        return good(self, x)
    monkeypatch.setattr(cuda_program.Program, 'network', short)
    for seed in range(3):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))
    assert all(plan is not None for plan in fast._backend._plans.values())
    assert len(fast._backend._plans) == 1


def test_after_two_failing_sizes_the_fast_path_is_left_for_good(monkeypatch, caplog):
    network = make_network()
    one, fast = two(network, make_metadata(network))
    calls = []

    def fail(self, x):
        calls.append(1)
        raise RuntimeError('CUDA error')
    monkeypatch.setattr(cuda_program.Program, 'network', fail)
    for image in (picture(), picture(128, 96), picture(96, 192), picture()):
        assert_same(one(image, fx=90.0), fast(image, fx=90.0))
    assert len(calls) == cuda.FAILURES and 'for every size' in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize('fault', ['raises', 'wrong'])
@pytest.mark.parametrize('kernel', ['fused_segmentation_maps', 'fused_classifier'])
def test_a_kernel_that_fails_or_errs_is_left_out_and_said(monkeypatch, caplog, kernel, fault):
    from emu_perception.backends import cuda_network
    from emu_perception.kernels.classifier import plain_classifier
    from emu_perception.uncertainty import segmentation_maps
    forms = {'fused_segmentation_maps': (cuda_program, segmentation_maps),
             'fused_classifier': (cuda_network, plain_classifier)}
    monkeypatch.setattr(cuda_kernels, 'triton_runs_on', lambda device: True)
    for name, (module, plain) in forms.items():
        def form(*arguments, name=name, plain=plain):
            if name == kernel and fault == 'raises':
                raise RuntimeError('Failed to find C compiler.\nPlease specify via CC')
            result = plain(*arguments)
            if name == kernel:
                return result + 0.1 if torch.is_tensor(result) else (*result[:2], result[2] * 0.9)
            return result
        monkeypatch.setattr(module, name, form)
    network = make_network()
    one, fast = two(network, make_metadata(network))
    model = fast._backend._model
    used = {'fused_segmentation_maps': model.fused_maps,
            'fused_classifier': model.network.heads.fused}
    assert used == {name: name != kernel for name in forms}
    said = [x.message for x in caplog.records if 'is left out' in x.message]
    assert len(said) == 1 and '\n' not in said[0]
    assert ('C compiler' if fault == 'raises' else 'differs from the plain form') in said[0]
    for seed in range(3):
        assert_same(one(picture(seed=seed), fx=90.0), fast(picture(seed=seed), fx=90.0))


def test_auto_takes_it_and_falls_back_loudly_from_a_network_it_cannot_take(monkeypatch, caplog):
    monkeypatch.setattr(registry, 'preferred', lambda device: ('cuda', 'eager'))
    caplog.set_level(logging.INFO, 'emu_perception')
    network = make_network()
    assert Predictor(network, make_metadata(network), device='cpu').backend == 'cuda'

    def strange(x):
        return {DEPTH: torch.ones(1, 2, x.shape[-2] // 4, x.shape[-1] // 4)}
    stub = Stub(strange, (DEPTH,))
    metadata = make_metadata(network)
    stub_folded = stub.folded()
    stub_folded.tasks = (DEPTH, 'another')
    stub.folded = lambda: stub_folded
    predictor = Predictor(stub, metadata, device='cpu')
    assert predictor.backend == 'eager' and 'does not know the tasks' in caplog.text
    with pytest.raises(InputError, match="backend is 'cuda', which does not know the tasks"):
        Predictor(stub, metadata, device='cpu', backend='cuda')
    # A network whose parts it does not find.
    with pytest.raises(InputError, match="backend is 'cuda', which cannot take this network") as e:
        Predictor(Stub(strange, (DEPTH,)), metadata, device='cpu', backend='cuda')
    assert '\n' not in str(e.value)


def test_auto_falls_back_from_a_gpu_that_fails_at_the_start(monkeypatch, caplog):
    monkeypatch.setattr(registry, 'preferred', lambda device: ('cuda', 'eager'))

    def fail(self, x):
        raise RuntimeError('CUDA error: no kernel image is available for execution on the device')
    monkeypatch.setattr(cuda_program.Program, 'network', fail)
    network = make_network()
    predictor = Predictor(network, make_metadata(network), device='cpu')
    assert predictor.backend == 'eager' and 'no kernel image' in caplog.text
    assert predictor(picture()).size == (96, 128)
