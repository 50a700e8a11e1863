# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
NVIDIA GPUs: from uint8 image to packed maps without the CPU in between.

Resizing, normalising, the network in the precision asked for, maps, calibration and resizing to
the size asked for are one CUDA graph a stage, with one copy up and one down. Whatever of it fails
is said once, and PyTorch stage by stage (``eager``) goes on in its place.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
import threading
import time
import traceback
from typing import Any

from emu_perception.backends.base import Backend, Finishing
from emu_perception.backends.cuda_network import DeviceNetwork
from emu_perception.backends.cuda_plan import fastest_convolutions, Job, Plan
from emu_perception.backends.cuda_program import choose_kernels, DeviceForm, Model, Program, Sizes
from emu_perception.backends.cuda_runtime import CudaRuntime, one_line
from emu_perception.backends.eager import EagerBackend
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import FoldedNetwork
from emu_perception.precisions import DTYPES
from emu_perception.prediction import Prediction
import numpy as np
import torch

LOGGER = logging.getLogger('emu_perception')
# Four cameras, each with maps at its own size and, while nobody listens, at the network's.
KEPT_SIZES = 8
# So many sizes may fail before the fast path is left for good.
FAILURES = 2


class CudaBackend(Backend):
    """
    The folded network on a GPU; calls may come from any thread.

    Two threads that call it keep two images in flight (``pipelining.PipelinedPredictor``).

    :raises InputError: if the network is not of the all-MLP family or the GPU refuses it.
    """

    name = 'cuda'
    devices = ('cuda',)

    def __init__(self, network: FoldedNetwork, **arguments: Any) -> None:
        device = arguments['device']
        try:
            runtime = CudaRuntime(device)
            # On the compute stream, where it is used: no other stream has to be waited for.
            with runtime.on(runtime.compute):
                super().__init__(network, **arguments)
                self._model = Model(*self._on_device(network, runtime), device, self.temperature,
                                    self.scale, self.shift)
        except InputError:
            raise
        except Exception as error:  # CUDA raises many kinds; all mean the same here.
            raise self._refused(error) from error
        self._runtime = runtime
        # Untouched and on the CPU: what ``eager`` is made of when it is needed.
        self._network, self._arguments = network, arguments
        self._eager: EagerBackend | None = None
        self._plans: OrderedDict[Sizes, Plan | None] = OrderedDict()
        self._failures = 0
        self._short: set[Sizes] = set()  # Out of memory once.
        self._tried = False
        # ``begin`` of one image at a time; nobody waits for the GPU while holding it.
        self._lock = threading.Lock()

    def _on_device(self, network: FoldedNetwork,
                   runtime: CudaRuntime) -> tuple[DeviceForm, torch.dtype]:
        """Return what maps the network's input to raw maps, and the type of that input."""
        dtype = DTYPES[self.precision]
        return DeviceNetwork(network, self.device, dtype), dtype

    def _refused(self, error: Exception) -> InputError:
        return InputError(f"backend is '{self.name}', which cannot take this network "
                          f"({one_line(error)}): give 'eager'")

    @torch.inference_mode()
    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """Run once without a graph, and choose the kernels; only the first call does anything."""
        with self._lock:
            if self._tried:
                return
            runtime = self._runtime
            try:
                with runtime.on(runtime.compute), fastest_convolutions():
                    program = Program(self._model, Sizes(size, size, size))
                    # Some pattern: on a grey image every kernel would agree.
                    block = (torch.arange(program.input_bytes, device=self.device) * 37 % 251).to(
                        torch.uint8)
                    choose_kernels(self._model, program, block)
                    program.run(block)
                runtime.synchronize()
            except Exception as error:
                raise self._refused(error) from error
            self._tried = True

    @torch.inference_mode()
    def whole(self, image: np.ndarray, size: tuple[int, int],
              finishing: Finishing) -> Prediction | None:
        """Go from image to prediction; None after a failure, which is said."""
        if self._failures >= FAILURES:
            return None
        sizes = Sizes((image.shape[0], image.shape[1]), size, finishing.size)
        try:
            job = self._begin(sizes, image, finishing)
        except Exception as error:  # CUDA and Triton raise many kinds.
            self._give_up(sizes, error)
            return None
        return None if job is None else job.result()

    def _begin(self, sizes: Sizes, image: np.ndarray, finishing: Finishing) -> Job | None:
        start = time.perf_counter()
        with self._lock:
            plan = self._plan(sizes)
        if plan is None:
            return None
        staged = plan.stage(image, finishing)
        staging_ms = 1e3 * (time.perf_counter() - start)
        with self._lock:
            return plan.begin(staged, staging_ms)

    def _plan(self, sizes: Sizes) -> Plan | None:
        if sizes not in self._plans:
            while len(self._plans) >= KEPT_SIZES:
                # Its buffers must not be given away while a copy still uses them.
                self._runtime.synchronize()
                self._plans.popitem(last=False)
            with self._runtime.on(self._runtime.compute):
                self._plans[sizes] = Plan(self._model, sizes, self._runtime)
        self._plans.move_to_end(sizes)
        return self._plans[sizes]

    def _give_up(self, sizes: Sizes, error: Exception) -> None:
        """Leave the fast path for these sizes, or for all if it is no matter of the size."""
        # The frames of the network's layers hold on to its maps until they are cleared.
        traceback.clear_frames(error.__traceback__)
        with self._lock:
            try:
                self._runtime.synchronize()
            except Exception as second:  # Then 'eager' fails as well and says why.
                LOGGER.debug('cuda: %s', one_line(second))
            if isinstance(error, torch.cuda.OutOfMemoryError):
                self._plans.clear()
                self._runtime.free()
                if sizes not in self._short:  # It may have been somebody else's: tried once more.
                    self._short.add(sizes)
                    LOGGER.warning('%s: out of memory for an image of %dx%d (%s); eager answers, '
                                   'the next one tries again', self.name, sizes.image[1],
                                   sizes.image[0], one_line(error))
                    return
            else:
                self._failures += 1
            self._plans[sizes] = None
        LOGGER.warning(
            '%s: the fast path failed for images of %dx%d (%s); going on with eager, which is '
            'slower%s', self.name, sizes.image[1], sizes.image[0], one_line(error),
            ', for every size' if self._failures >= FAILURES else '')

    def _plain(self) -> EagerBackend:
        with self._lock:
            if self._eager is None:
                self._eager = EagerBackend(self._network, **self._arguments)
            return self._eager

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
        """Return the network's input, as ``eager`` does."""
        return self._plain().prepare(image, size)

    def network(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the raw maps, as ``eager`` does."""
        return self._plain().network(x)

    def maps(self, raw: dict[str, torch.Tensor], size: tuple[int, int]) -> NetworkMaps:
        """Return the maps, as ``eager`` does."""
        return self._plain().maps(raw, size)

    def synchronize(self) -> None:
        """Wait for the GPU."""
        self._plain().synchronize()
