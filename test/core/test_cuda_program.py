# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What of CUDA can be held without a GPU: devices, types, sizes of everything a graph would hold.

PyTorch's fake tensors say that they are on a GPU and follow every rule of one (no operation with
two devices, no value for the CPU) but compute nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
import inspect

from core_bench import make_network
from emu_perception.backends import cuda_runtime
from emu_perception.backends.cuda_network import DeviceNetwork
from emu_perception.backends.cuda_program import Model, Program, Sizes
from emu_perception.backends.cuda_runtime import CudaRuntime
from emu_perception.backends.request import BackendOptions
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.region import Region
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

GPU = torch.device('cuda', 0)
SIZES = [Sizes((96, 128), (96, 128), (96, 128)), Sizes((120, 160), (96, 128), (240, 320)),
         Sizes((48, 64), (96, 128), (50, 60)), Sizes((100, 300), (64, 192), (64, 192)),
         Sizes((96, 128), (96, 128), (96, 128), Region(0.5, 1.0, 0.1, 0.9))]


def on_fake_gpu(module: nn.Module, mode: FakeTensorMode) -> None:
    """Replace every tensor of a module by one of its shape, type and strides on a fake GPU."""
    for part in module.modules():
        for values in (part._parameters, part._buffers):
            for name, value in values.items():
                if value is not None:
                    with mode:
                        fake = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype,
                                                   device=GPU)
                    values[name] = (nn.Parameter(fake, requires_grad=False)
                                    if isinstance(value, nn.Parameter) else fake)


@pytest.mark.slow
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(('encoder', 'context', 'tasks'), [
    ('mit_b0', None, (SEGMENTATION, DEPTH)),
    ('tf_efficientnet_lite0', 'pyramid_pooling', (SEGMENTATION, DEPTH)),
    ('tf_efficientnet_lite0', 'transformer', (SEGMENTATION, DEPTH)),
    ('resnet18', None, (DEPTH,))])
def test_everything_a_graph_holds_stays_on_the_gpu_and_asks_nothing_of_it(
        dtype, encoder, context, tasks):
    folded = make_network(encoder, tasks=tasks, context=context).folded()
    network = DeviceNetwork(folded, torch.device('cpu'), dtype, statistics=True)
    mode = FakeTensorMode()
    on_fake_gpu(network, mode)
    with torch.inference_mode(), mode:
        model = Model(network, dtype, BackendOptions(GPU, 'fp32', (0.5,) * 3, (0.2,) * 3,
                                                     temperature=1.3))
        for sizes in SIZES:
            program = Program(model, sizes)
            block = torch.empty(program.input_bytes, dtype=torch.uint8, device=GPU)
            x = program.prepare(block)
            assert x.dtype == dtype and x.is_contiguous(memory_format=torch.channels_last)
            raw = program.network(x)
            assert {(y.dtype, y.device) for y in raw.values()} == {(torch.float32, GPU)}
            packed = program.finish(raw, block)
            assert packed.shape == (program.output_bytes,) and packed.device == GPU
            assert packed.dtype == torch.uint8


def test_the_heads_products_give_channels_last_maps_for_the_kernel():
    network = DeviceNetwork(make_network().folded(), torch.device('cpu'), torch.float32)
    features = [torch.randn(1, c, 24 >> i, 32 >> i) for i, c in enumerate((32, 64, 160, 256))]
    for last in (False, True):
        if last:
            features = [x.contiguous(memory_format=torch.channels_last) for x in features]
        for part in network.heads.projected(features):
            assert part.stride(1) == 1 and part.is_contiguous(memory_format=torch.channels_last)


def test_pinned_memory_that_is_not_to_be_had_is_said_once(monkeypatch, caplog):
    def refuse(*arguments, **settings):
        if settings.get('pin_memory'):
            raise RuntimeError('CUDA error: out of memory\npinning')
        return real(*arguments, **settings)
    real = torch.empty
    runtime = CudaRuntime.__new__(CudaRuntime)
    runtime._pins = True
    monkeypatch.setattr(torch, 'empty', refuse)
    blocks = [runtime.pinned(10) for _ in range(2)]
    assert all(block.shape == (10,) and block.dtype == torch.uint8 for block in blocks)
    assert len(caplog.messages) == 1 and 'no pinned memory' in caplog.messages[0]
    assert '\n' not in caplog.messages[0]


def test_a_capture_is_asked_of_pytorch_as_pytorch_takes_it(monkeypatch):
    """The own signature of PyTorch is held against the call that no test here can make."""
    asked = []
    signature = inspect.signature(torch.cuda.graph.__init__)

    def graph(*arguments, **settings):
        asked.append(signature.bind(None, *arguments, **settings).arguments)
        return nullcontext()

    class Graph:

        def replay(self) -> None:
            asked.append('replay')
    monkeypatch.setattr(torch.cuda, 'graph', graph)
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', Graph)
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, 'device', lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, 'Stream', lambda device: object())
    runtime = CudaRuntime(GPU)
    replay, result = runtime.capture(lambda: 5)
    replay()
    assert result == 5 and asked[1:] == ['replay'] and asked[0]['pool'] == (0, 1)
    assert asked[0]['stream'] is runtime.compute
    assert asked[0]['capture_error_mode'] == 'thread_local'
    assert not cuda_runtime.CAPTURE.locked()
    inspect.signature(torch.cuda.Event.__new__).bind(None, enable_timing=True)
