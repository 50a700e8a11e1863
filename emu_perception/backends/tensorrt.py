# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT for the network, and what backend 'cuda' has for everything around it.

An engine is built once for each network, size, precision, GPU and version, which takes minutes,
and kept in ~/.cache/emu_perception. 'auto' does not choose it: it was not measured here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
import logging
import time

from emu_perception import __version__
from emu_perception.backends.cuda import CudaBackend, KEPT_SIZES
from emu_perception.backends.cuda_program import DeviceForm
from emu_perception.backends.cuda_runtime import CudaRuntime
from emu_perception.backends.engine_cache import (
    cache_folder,
    engine_key,
    network_hash,
    read_engine,
    write_engine,
)
from emu_perception.backends.onnx_export import OPSET
from emu_perception.backends.tensorrt_engine import build_engine, Engine
from emu_perception.networks.multitask import FoldedNetwork
import timm
import torch

LOGGER = logging.getLogger('emu_perception')


class TensorRTBackend(CudaBackend):
    """Backend 'cuda' with its network as a TensorRT engine for each size."""

    name = 'tensorrt'
    package = 'tensorrt'

    def _on_device(self, network: FoldedNetwork,
                   runtime: CudaRuntime) -> tuple[DeviceForm, torch.dtype]:
        return EngineNetwork(network, self.precision, runtime), torch.float32

    @torch.inference_mode()
    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """
        Build or read the engine of a size, which may take minutes.

        Start-up does this for the checkpoint's size; a camera of another aspect waits for its
        engine at its first image, with the flag raised, unless ``warm_up(image_size)`` was called.
        """
        super().compile(size)
        network = self._model.network
        assert isinstance(network, EngineNetwork)
        with self._lock:
            try:
                with self._runtime.on(self._runtime.compute):
                    network.at(size)
            except Exception as error:  # TensorRT raises many kinds; all mean the same here.
                raise self._refused(error) from error


class EngineNetwork:
    """
    A folded network as engines, one a size.

    :param network: stays as it is; what engines are made of.
    """

    def __init__(self, network: FoldedNetwork, precision: str, runtime: CudaRuntime) -> None:
        self.tasks = network.tasks
        self._network, self._precision, self._runtime = network, precision, runtime
        self._hash = network_hash(network)
        self._engines: OrderedDict[tuple[int, int], Engine] = OrderedDict()

    def at(self, size: tuple[int, int]) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
        """
        Return the engine of a size: one in use, one from an earlier start, or a new one.

        Who calls it keeps it: a CUDA graph reads its memory.
        """
        if size not in self._engines:
            self._engines[size] = self._made(size)
            while len(self._engines) > KEPT_SIZES:
                self._engines.popitem(last=False)
        self._engines.move_to_end(size)
        engine, stream = self._engines[size], self._runtime.handle(self._runtime.compute)
        return lambda x: engine(x.contiguous(), stream)

    def _made(self, size: tuple[int, int]) -> Engine:
        import tensorrt
        key = engine_key(self._hash, self._runtime.gpu(), tensorrt.__version__, __version__,
                         torch.__version__, timm.__version__, OPSET, self._precision, size)
        folder = cache_folder()
        kept = read_engine(folder, key)
        if kept is not None:
            try:
                return Engine(kept, self.tasks)
            except Exception as error:  # A driver or a library that is not the builder's.
                LOGGER.warning('tensorrt: the kept engine does not run (%s); it is built again',
                               ' '.join(str(error).split()))
        LOGGER.warning('tensorrt: building an engine for %dx%d in %s; this takes minutes, once',
                       size[1], size[0], self._precision)
        start = time.perf_counter()
        serialized = build_engine(self._network, size, self._precision)
        LOGGER.warning('tensorrt: engine built in %.0f s', time.perf_counter() - start)
        write_engine(folder, key, serialized)
        return Engine(serialized, self.tasks)
