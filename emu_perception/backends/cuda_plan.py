# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The fast path for one set of sizes: buffers, CUDA graphs, and the order of streams and copies.

Upload, computing and download each have a stream, and two slots of device memory lie between them,
so that the copies of one image run beside the computing of another. What keeps two images from
using one buffer at once is written at each wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import logging
import threading
import time

from emu_perception.backends.cuda_program import Model, Program, Sizes
from emu_perception.backends.cuda_runtime import CudaRuntime, one_line
from emu_perception.backends.request import Request
from emu_perception.prediction import Prediction
import numpy as np
import torch

LOGGER = logging.getLogger('emu_perception')
_SWITCH = threading.Lock()
_measuring = 0
_benchmark_before = False
SLOTS = 2
# A graph is made when a size comes for the second time: some come only once.
CAPTURE_AT = 2


@dataclass
class _Slot:
    """Device memory of one image in flight, and until when it is in use."""

    block: torch.Tensor
    maps: torch.Tensor
    consumed: torch.cuda.Event  # Then the next upload may write ``block``.
    downloaded: torch.cuda.Event | None = None  # Then the next image's maps may be written.


@dataclass(frozen=True)
class Job:
    """
    An image on its way through the GPU.

    :ivar plan: kept, so that its buffers outlive the copies.
    :ivar events: points in time on the streams by name.
    """

    plan: Plan
    host: torch.Tensor
    events: dict[str, torch.cuda.Event]
    staging_ms: float

    def result(self) -> Prediction:
        """Wait for the maps; they lie in memory of their own."""
        events = self.events
        events['downloaded'].synchronize()
        times = {
            'preprocess': self.staging_ms + events['begun'].elapsed_time(events['prepared']),
            'network': events['prepared'].elapsed_time(events['inferred']),
            'postprocess': events['inferred'].elapsed_time(events['downloaded'])}
        return self.plan.program.unpacked(self.host, times)


class Plan:
    """
    One set of sizes; ``begin`` is for one thread at a time.

    :param model: shared by all plans.
    """

    def __init__(self, model: Model, sizes: Sizes, runtime: CudaRuntime) -> None:
        self.program = Program(model, sizes)
        self._runtime = runtime
        self._uses = 0
        self._replays: list[Callable[[], None]] | None = None
        self._packed: torch.Tensor | None = None
        device, program = model.device, self.program
        self._block = torch.zeros(program.input_bytes, dtype=torch.uint8, device=device)
        # The memory may have been given back by work that the compute stream has not done yet.
        fresh = runtime.event()
        fresh.record(runtime.compute)
        self._slots = [
            _Slot(torch.empty_like(self._block),
                  torch.empty(program.output_bytes, dtype=torch.uint8, device=device), fresh)
            for _ in range(SLOTS)]

    def stage(self, image: np.ndarray, request: Request) -> torch.Tensor:
        """Return parameters and image in a pinned block of their own; for any thread."""
        block = self._runtime.pinned(self.program.input_bytes)
        self.program.stage(image, request, block)
        return block

    def begin(self, staged: torch.Tensor, staging_ms: float) -> Job:
        """Put everything for one image on the streams; nothing is waited for."""
        runtime = self._runtime
        slot = self._slots[self._uses % SLOTS]
        self._uses += 1
        events = {name: runtime.event() for name in (
            'begun', 'uploaded', 'consumed', 'prepared', 'inferred', 'computed', 'downloaded')}
        with runtime.on(runtime.upload):
            # The image before in this slot must have been taken out of it.
            runtime.upload.wait_event(slot.consumed)
            events['begun'].record(runtime.upload)
            slot.block.copy_(staged, non_blocking=True)
            events['uploaded'].record(runtime.upload)
        with runtime.on(runtime.compute):
            runtime.compute.wait_event(events['uploaded'])
            # Graphs read one fixed block; on this one stream images follow each other.
            self._block.copy_(slot.block)
            events['consumed'].record(runtime.compute)
            slot.consumed = events['consumed']
            packed = self._compute(events)
            if slot.downloaded is not None:
                runtime.compute.wait_event(slot.downloaded)
            slot.maps.copy_(packed)
            events['computed'].record(runtime.compute)
        with runtime.on(runtime.download):
            runtime.download.wait_event(events['computed'])
            host = runtime.pinned(self.program.output_bytes)
            host.copy_(slot.maps, non_blocking=True)
            events['downloaded'].record(runtime.download)
            slot.downloaded = events['downloaded']
        return Job(self, host, events, staging_ms)

    def _compute(self, events: dict[str, torch.cuda.Event]) -> torch.Tensor:
        """Put the three stages on the compute stream; return where the maps will be."""
        if self._uses == CAPTURE_AT:
            self._capture()
        compute, program = self._runtime.compute, self.program
        if self._replays is not None and self._packed is not None:
            prepare, network, finish = self._replays
            prepare()
            events['prepared'].record(compute)
            network()
            events['inferred'].record(compute)
            finish()
            return self._packed
        with fastest_convolutions():
            x = program.prepare(self._block)
            events['prepared'].record(compute)
            raw = program.network(x)
            events['inferred'].record(compute)
            return program.finish(raw, self._block)

    def _capture(self) -> None:
        """Make the graphs, and hold what they give against what they were made from."""
        runtime, program, block, sizes = (self._runtime, self.program, self._block,
                                          self.program.sizes)
        start = time.perf_counter()
        try:
            with fastest_convolutions():
                # In this thread and on this stream: libraries choose algorithms and take their
                # workspace now, which they may not do during a capture.
                expected = program.run(block)
                prepare, x = runtime.capture(lambda: program.prepare(block))
                network, raw = runtime.capture(lambda: program.network(x))
                finish, packed = runtime.capture(lambda: program.finish(raw, block))
            for replay in (prepare, network, finish):
                replay()
            if not program.same(expected, packed):
                raise RuntimeError('the graph gives other maps than the same work without it')
        except torch.cuda.OutOfMemoryError:
            raise  # The backend makes room.
        except Exception as error:  # What cannot be captured raises many kinds.
            LOGGER.warning('cuda: no CUDA graph for images of %dx%d, which is slower (%s)',
                           sizes.image[1], sizes.image[0], one_line(error))
            return
        self._replays, self._packed = [prepare, network, finish], packed
        LOGGER.info('cuda: graph for images of %dx%d made in %.1f s', sizes.image[1],
                    sizes.image[0], time.perf_counter() - start)


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """
    Let cuDNN measure its algorithms at a new size instead of guessing.

    The switch is the whole process's: the first thread to enter turns it on, the last to leave
    puts it back.
    """
    global _measuring, _benchmark_before
    with _SWITCH:
        if not _measuring:
            _benchmark_before = torch.backends.cudnn.benchmark
            torch.backends.cudnn.benchmark = True
        _measuring += 1
    try:
        yield
    finally:
        with _SWITCH:
            _measuring -= 1
            if not _measuring:
                torch.backends.cudnn.benchmark = _benchmark_before
