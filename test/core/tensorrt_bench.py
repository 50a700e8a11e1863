# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
In the place of ``tensorrt``: engines that are the ONNX files, run by ONNX Runtime.

It takes what the real one takes (version 10's names) and works on addresses, as the real one does.
"""

from __future__ import annotations

import ctypes
from enum import Enum
import sys
from types import ModuleType
from typing import Any

from cuda_bench import Tape
import numpy as np
import pytest


def make_tensorrt() -> ModuleType:
    """
    Return the module.

    ``built`` counts its engines, ``flags`` is what was asked for last, ``spoil`` may change each
    result in place.
    """
    import onnx
    import onnxruntime
    trt: Any = ModuleType('tensorrt')
    trt.__version__, trt.built, trt.flags, trt.float32 = '10.9', 0, [], 'float32'
    trt.spoil = lambda name, values: None
    trt.MemoryPoolType = Enum('MemoryPoolType', ['WORKSPACE'])
    trt.BuilderFlag = Enum('BuilderFlag', ['FP16', 'BF16', 'TF32', 'OBEY_PRECISION_CONSTRAINTS'])
    trt.NetworkDefinitionCreationFlag = Enum('NetworkDefinitionCreationFlag', ['STRONGLY_TYPED'])

    class Named:

        def __init__(self, name: str) -> None:
            self.name = name

    class Layer:

        def __init__(self, node: Any) -> None:
            self.node, self.num_outputs, self.precision = node, len(node.output), None
            self.name = node.name

        def get_output(self, i: int) -> Named:
            return Named(self.node.output[i])

    class Network:

        def load(self, model: Any) -> None:
            self.model = model
            self.layers = [Layer(node) for node in model.graph.node]
            self.num_layers, self.num_outputs = len(self.layers), len(model.graph.output)

        def get_layer(self, i: int) -> Layer:
            return self.layers[i]

        def get_output(self, i: int) -> Named:
            return Named(self.model.graph.output[i].name)

    class Logger:
        WARNING = 1

        def __init__(self, severity: int) -> None:
            self.severity = severity

    class Parser:

        def __init__(self, network: Network, logger: Logger) -> None:
            self.network, self.num_errors = network, 1

        def parse(self, content: bytes) -> bool:
            self.network.load(onnx.load_from_string(content))
            return True

    class Config:

        def set_memory_pool_limit(self, pool: Any, size: int) -> None:
            assert isinstance(pool, trt.MemoryPoolType) and size > 0

        def set_flag(self, flag: Any) -> None:
            trt.flags.append(flag.name)

        def clear_flag(self, flag: Any) -> None:
            trt.flags.append(f'no {flag.name}')

    class Builder:

        def __init__(self, logger: Logger) -> None:
            trt.flags = []

        def create_network(self, flags: int) -> Network:
            assert flags == 0
            return Network()

        def create_builder_config(self) -> Config:
            return Config()

        def build_serialized_network(self, network: Network, config: Config) -> bytes:
            trt.built += 1
            trt.full = sum(layer.precision == 'float32' for layer in network.layers)
            config.progress_monitor.phase_start('Building', None, 3)
            assert config.progress_monitor.step_complete('Building', 0) is True
            config.progress_monitor.phase_finish('Building')
            return network.model.SerializeToString()

    class Context:

        def __init__(self, session: Any) -> None:
            self.session, self.addresses = session, {}

        def set_tensor_address(self, name: str, address: int) -> bool:
            self.addresses[name] = address
            return True

        def execute_async_v3(self, stream: int) -> bool:
            addresses = dict(self.addresses)

            def run() -> None:
                x = self.session.get_inputs()[0]
                values = array_at(addresses[x.name], x.shape)
                for y, found in zip(self.session.get_outputs(), self.session.run(
                        None, {x.name: values})):
                    values = np.array(found)
                    trt.spoil(y.name, values)
                    array_at(addresses[y.name], y.shape)[:] = values
            run()
            for tape in Tape.open:
                tape.operations.append((run, (), {}, None))
            return stream == 7

    class Engine:

        def __init__(self, session: Any) -> None:
            self.session = session

        def create_execution_context(self) -> Context:
            return Context(self.session)

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return next(tuple(y.shape) for y in self.session.get_outputs() if y.name == name)

    class Runtime:

        def __init__(self, logger: Logger) -> None:
            pass

        def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            return Engine(onnxruntime.InferenceSession(content, options,
                                                       providers=['CPUExecutionProvider']))
    trt.Logger, trt.Builder, trt.OnnxParser, trt.Runtime = Logger, Builder, Parser, Runtime
    trt.IProgressMonitor = object
    return trt


def array_at(address: int, shape: list[int]) -> np.ndarray:
    """Return float32 memory as an array."""
    count = int(np.prod(shape))
    return np.ctypeslib.as_array((ctypes.c_float * count).from_address(address)).reshape(shape)


def pretend_tensorrt(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> ModuleType:
    """Have a TensorRT that is installed, with an empty cache."""
    for name in ('onnx', 'onnxruntime'):
        pytest.importorskip(name, reason=f'NOT TESTED: {name} is not installed')
    module = make_tensorrt()
    monkeypatch.setitem(sys.modules, 'tensorrt', module)
    monkeypatch.setattr('emu_perception.backends.registry.is_installed', lambda name: True)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return module
