# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT for the network, and what backend 'cuda' has for everything around it.

An engine is built once for each network, size, precision, GPU and version, which takes minutes,
and kept in ~/.cache/emu_perception. 'auto' does not choose it: it was not measured here.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
from pathlib import Path
import time

from emu_perception import __version__
from emu_perception.backends.cuda import CudaBackend, KEPT_SIZES
from emu_perception.backends.cuda_program import DeviceForm
from emu_perception.backends.cuda_runtime import CudaRuntime
from emu_perception.backends.network_hash import network_hash
from emu_perception.backends.onnx_export import OPSET
from emu_perception.backends.tensorrt_engine import build_engine, Engine
from emu_perception.backends.timm_version import timm_version
from emu_perception.cache_files import cache_folder, cache_key, read_cached, write_cached
from emu_perception.errors import text_of
from emu_perception.networks.multitask import FoldedNetwork
from emu_perception.networks.statistics import STATISTICS, statistics_length
import torch

LOGGER = logging.getLogger('emu_perception')


class TensorRTBackend(CudaBackend):
    """Backend 'cuda' with its network as a TensorRT engine for each size."""

    name = 'tensorrt'

    def _on_device(self, network: FoldedNetwork,
                   runtime: CudaRuntime) -> tuple[DeviceForm, torch.dtype]:
        return EngineNetwork(network, self.options.precision, runtime,
                             self.options.statistics), torch.float32


class EngineNetwork:
    """
    A folded network as engines, one a size.

    :param network: stays as it is; what engines are made of.
    :param statistics: whether they are asked for too.
    """

    def __init__(self, network: FoldedNetwork, precision: str, runtime: CudaRuntime,
                 statistics: bool = False) -> None:
        self.tasks, self.depth_form = network.tasks, network.depth_form
        self.statistics_length = statistics_length(network) if statistics else 0
        self._network, self._precision, self._runtime = network, precision, runtime
        self._hash = network_hash(network)
        self._engines: OrderedDict[tuple[int, int], StreamEngine] = OrderedDict()

    def at(self, size: tuple[int, int]) -> StreamEngine:
        """
        Return the engine of a size: one in use, one from an earlier start, or a new one.

        Who calls it keeps it: a CUDA graph reads its memory.
        """
        if size not in self._engines:
            self._keep(size, self._read(size) or self._built(size))
        self._engines.move_to_end(size)
        return self._engines[size]

    def made_again(self, size: tuple[int, int]) -> bool:
        """Build an engine anew that came from a file; return whether it did."""
        if not self._engines[size].from_file:
            return False
        self._keep(size, self._built(size))
        return True

    def _keep(self, size: tuple[int, int], engine: StreamEngine) -> None:
        self._engines[size] = engine
        while len(self._engines) > KEPT_SIZES:
            self._engines.popitem(last=False)

    def _file(self, size: tuple[int, int]) -> tuple[Path, str]:
        """Return where the engine of a size is kept, and the key of all it is made from."""
        import tensorrt
        key = cache_key(self._hash, self._runtime.gpu(), tensorrt.__version__, __version__,
                        torch.__version__, timm_version(), OPSET, self._precision, size,
                        self.statistics_length)
        return cache_folder('engines') / f'{key}.engine', key

    def _read(self, size: tuple[int, int]) -> StreamEngine | None:
        # A damaged one, which is not given out, would take the process down with TensorRT.
        kept = read_cached(*self._file(size), 'the engine is built again')
        if kept is None:
            return None
        try:
            return self._on_stream(kept, from_file=True)
        except Exception as error:  # A driver or a library that is not the builder's.
            LOGGER.warning('tensorrt: the kept engine does not run (%s); it is built again',
                           text_of(error))
            return None

    def _built(self, size: tuple[int, int]) -> StreamEngine:
        LOGGER.warning('tensorrt: building an engine for %dx%d in %s; this takes minutes, once',
                       size[1], size[0], self._precision)
        start = time.perf_counter()
        serialized = build_engine(self._network, size, self._precision,
                                  bool(self.statistics_length))
        LOGGER.warning('tensorrt: engine built in %.0f s', time.perf_counter() - start)
        write_cached(*self._file(size), serialized, 'the engine is built again at the next start')
        return self._on_stream(serialized, from_file=False)

    def _on_stream(self, serialized: bytes, from_file: bool) -> StreamEngine:
        outputs = (*self.tasks, STATISTICS) if self.statistics_length else self.tasks
        return StreamEngine(Engine(serialized, outputs),
                            self._runtime.handle(self._runtime.compute), from_file)


class StreamEngine:
    """
    An engine on the stream that computes.

    :ivar from_file: whether an earlier start has built it.
    """

    def __init__(self, engine: Engine, stream: int, from_file: bool) -> None:
        self.from_file = from_file
        self._engine, self._stream = engine, stream

    def __call__(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Put the network on the stream: normalised [1, 3, h, w] to raw maps by task."""
        return self._engine(x.contiguous(), self._stream)
