# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Building and running a TensorRT engine; importing this file does not import TensorRT."""

from __future__ import annotations

import logging
from pathlib import Path
import tempfile
import time
from typing import Any

from emu_perception.backends.onnx_export import export_onnx, INPUT, STATISTICS_NODES
from emu_perception.networks.multitask import FoldedNetwork
import torch

LOGGER = logging.getLogger('emu_perception')
_LOG_EVERY_S = 15.0
_WORKSPACE_BYTES = 2 << 30
_FLAGS = {'fp16': 'FP16', 'bf16': 'BF16'}


def build_engine(network: FoldedNetwork, size: tuple[int, int], precision: str,
                 statistics: bool = False) -> bytes:
    """
    Return a serialized engine: normalised float32 image in, float32 raw maps out.

    :param statistics: whether the statistics come out too.
    :raises Exception: of many kinds, if TensorRT cannot build it.
    """
    import tensorrt as trt
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    # TensorRT 8 has to be asked for what later versions always do.
    explicit = getattr(trt.NetworkDefinitionCreationFlag, 'EXPLICIT_BATCH', None)
    definition = builder.create_network(0 if explicit is None else 1 << int(explicit))
    parser = trt.OnnxParser(definition, logger)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'network.onnx'
        export_onnx(network, size, path, statistics)
        if not parser.parse(path.read_bytes()):
            raise RuntimeError('; '.join(str(parser.get_error(i))
                                         for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    if precision in _FLAGS:
        config.set_flag(getattr(trt.BuilderFlag, _FLAGS[precision]))
        # The last layers stay float32: a variance spans more than float16 does. So do the
        # statistics: squares, and sums of thousands of pixels.
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
        results = {definition.get_output(i).name for i in range(definition.num_outputs)}
        for i in range(definition.num_layers):
            layer = definition.get_layer(i)
            if layer.name.startswith(STATISTICS_NODES) or any(
                    layer.get_output(j).name in results for j in range(layer.num_outputs)):
                layer.precision = trt.float32
    else:
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits are not float32.
    if hasattr(trt, 'IProgressMonitor'):
        config.progress_monitor = _monitor(trt)
    engine = builder.build_serialized_network(definition, config)
    if engine is None:
        raise RuntimeError('TensorRT gave no engine; its own messages say why')
    return bytes(engine)


class Engine:
    """
    An engine on the current device, for one caller at a time.

    :param outputs: their names: the tasks, and the statistics if it was built with them.
    """

    def __init__(self, serialized: bytes, outputs: tuple[str, ...]) -> None:
        import tensorrt as trt
        # All three are kept: TensorRT does not hold on to what its objects need.
        self._logger = trt.Logger(trt.Logger.WARNING)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(serialized)
        if self._engine is None:
            raise RuntimeError('TensorRT cannot read the engine')
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise RuntimeError('no memory for the engine')
        self._shapes = {name: tuple(self._engine.get_tensor_shape(name)) for name in outputs}

    def __call__(self, x: torch.Tensor, stream: int) -> dict[str, torch.Tensor]:
        """
        Put the network on a stream; nothing is waited for.

        :param x: float32 [1, 3, h, w], contiguous.
        """
        raw = {name: torch.empty(shape, device=x.device) for name, shape in self._shapes.items()}
        for name, tensor in ((INPUT, x), *raw.items()):
            self._context.set_tensor_address(name, tensor.data_ptr())
        if not self._context.execute_async_v3(stream):
            raise RuntimeError('TensorRT could not start the network')
        return raw


def _monitor(trt: Any) -> Any:
    """Return a progress monitor that logs now and then."""
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Counts the steps of each phase."""

        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}
            self._said = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """Note how long a phase is."""
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Log at most every few seconds; True = go on."""
            if time.monotonic() - self._said >= _LOG_EVERY_S:
                self._said = time.monotonic()
                LOGGER.info('tensorrt: building, %s %d of %d', phase_name, step + 1,
                            self._steps.get(phase_name, 0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            """Forget a phase."""
            self._steps.pop(phase_name, None)
    return Monitor()
