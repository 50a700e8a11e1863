# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
NVIDIA GPUs: from uint8 image to packed maps without the CPU in between.

Resizing, normalising, the network in the precision asked for, maps, calibration and resizing to
the size asked for are one CUDA graph a stage, with one copy up and one down. Whatever of it fails,
or says something else than PyTorch at a new size, is said once, and PyTorch stage by stage
(``eager``) goes on in its place.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
import threading
import time
import traceback
import weakref

from emu_perception.backends.base import Backend
from emu_perception.backends.cuda_kernels import choose_kernels
from emu_perception.backends.cuda_network import DeviceNetwork
from emu_perception.backends.cuda_plan import fastest_convolutions, Job, Plan
from emu_perception.backends.cuda_program import DeviceForm, Model, Program, RawOf, Sizes
from emu_perception.backends.cuda_runtime import CudaRuntime, one_line
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.proving import Disproof, Proof
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.errors import InputError
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
    The folded network on a GPU; two threads that call it keep two images in flight.

    :raises InputError: if the network is not of the all-MLP family or the GPU refuses it.
    """

    name = 'cuda'

    def __init__(self, network: FoldedNetwork, options: BackendOptions) -> None:
        super().__init__(network, options)
        try:
            runtime = CudaRuntime(options.device)
            # On the compute stream, where it is used: no other stream has to be waited for.
            with runtime.on(runtime.compute):
                self._model = Model(*self._on_device(network, runtime), options)
        except InputError:
            raise
        except Exception as error:  # CUDA raises many kinds; all mean the same here.
            raise self._refused(error) from error
        self._runtime = runtime
        # Untouched and on the CPU: what ``eager`` is made of when it is needed.
        self._network = network
        self._eager: EagerBackend | None = None
        self._plans: OrderedDict[Sizes, Plan | None] = OrderedDict()
        # By the network's size, what has proven itself there; a later one has to do so again.
        self._proven: dict[tuple[int, int], weakref.ref[RawOf]] = {}
        self._disproven: set[tuple[int, int]] = set()
        self._kernels_chosen = False
        self._failures = 0
        self._short: set[Sizes] = set()  # Out of memory once.
        # ``begin`` of one image at a time; nobody waits for the GPU while holding it.
        self._lock = threading.Lock()

    def _on_device(self, network: FoldedNetwork,
                   runtime: CudaRuntime) -> tuple[DeviceForm, torch.dtype]:
        """Return what maps the network's input to raw maps, and the type of that input."""
        dtype = DTYPES[self.options.precision]
        return DeviceNetwork(network, self.options.device, dtype, self.options.statistics), dtype

    def _refused(self, error: Exception) -> InputError:
        return InputError(f"backend is '{self.name}', which cannot take this network "
                          f"({one_line(error)}): give 'eager'")

    @torch.inference_mode()
    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """
        Run once without a graph, choose the kernels, and prove what comes of it.

        An engine of TensorRT may take minutes: start-up makes that of the checkpoint's size; a
        camera of another aspect waits for its own at its first image, with the flag raised, unless
        ``warm_up(image_size)`` was called.
        """
        with self._lock:
            try:
                self._prove(size)
            except Disproof as error:
                if not self._proven:  # Start-up: another backend is to be chosen.
                    raise
                self._say(f'{error}; going on with eager, which is slower')
            except InputError:
                raise
            except Exception as error:
                raise self._refused(error) from error

    def _prove(self, size: tuple[int, int]) -> None:
        network = self._model.network
        proven = self._proven.get(size)
        if proven is not None and proven() is network.at(size):
            return
        runtime = self._runtime
        with runtime.on(runtime.compute), fastest_convolutions():
            proof = Proof(self._network, self.options, size)
            program = Program(self._model, Sizes(size, size, size))
            if not self._kernels_chosen:
                choose_kernels(program, proof.probes.values(), proof.request)
                self._kernels_chosen = True
            try:
                self._check(proof, program)
            except Disproof:
                self._disproven.add(size)
                raise
        runtime.synchronize()
        self._proven[size] = weakref.ref(network.at(size))

    def _check(self, proof: Proof, program: Program) -> None:
        size = program.sizes.network
        try:
            proof.check(self.name, program.answer)
        except Disproof as error:
            if not self._model.network.made_again(size):
                raise
            LOGGER.warning('%s; it came from a file and was made again', error)
            proof.check(self.name, Program(self._model, program.sizes).answer)

    @torch.inference_mode()
    def predict(self, image: np.ndarray, request: Request) -> Prediction:
        """Go from image to prediction on the fast path; after a failure, which is said, not."""
        if self._failures < FAILURES and request.network_size not in self._disproven:
            sizes = Sizes((image.shape[0], image.shape[1]), request.network_size, request.size,
                          request.score_region)
            try:
                job = self._begin(sizes, image, request)
            except Exception as error:  # CUDA and Triton raise many kinds.
                self._give_up(sizes, error)
                job = None
            if job is not None:
                return job.result()
        return self._plain().predict(image, request)

    def _begin(self, sizes: Sizes, image: np.ndarray, request: Request) -> Job | None:
        start = time.perf_counter()
        with self._lock:
            plan = self._plan(sizes)
        if plan is None:
            return None
        staged = plan.stage(image, request)
        staging_ms = 1e3 * (time.perf_counter() - start)
        with self._lock:
            return plan.begin(staged, staging_ms)

    def _plan(self, sizes: Sizes) -> Plan | None:
        if sizes not in self._plans:
            self._prove(sizes.network)
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
            elif not isinstance(error, Disproof):
                self._failures += 1
            self._plans[sizes] = None
        self._say(f'{self.name}: the fast path failed for images of {sizes.image[1]}x'
                  f'{sizes.image[0]} ({one_line(error)}); going on with eager, which is slower'
                  f'{", for every size" if self._failures >= FAILURES else ""}')

    def _say(self, note: str) -> None:
        self.notes.append(note)
        LOGGER.warning('%s', note)

    def _plain(self) -> EagerBackend:
        with self._lock:
            if self._eager is None:
                self._eager = EagerBackend(self._network, self.options)
            return self._eager
