# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The few things of CUDA that the fast path uses; tests put a CPU in their place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
import logging
from typing import TypeVar

from emu_perception.backends.cuda_memory import CAPTURE, free_unused
from emu_perception.errors import kind_and_text
import torch

Result = TypeVar('Result')
LOGGER = logging.getLogger('emu_perception')


class CudaRuntime:
    """
    Streams, events, pinned memory and graphs of one GPU.

    :ivar upload: the stream of copies to the GPU.
    :ivar compute: the stream of everything that computes.
    :ivar download: the stream of copies from it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.upload, self.compute, self.download = (torch.cuda.Stream(device) for _ in range(3))
        # All graphs of a backend run one after another, so they may use the same memory.
        self._pool = torch.cuda.graph_pool_handle()
        self._pins = True

    def on(self, stream: torch.cuda.Stream) -> AbstractContextManager[object]:
        """Return the context in which work is put on a stream."""
        return torch.cuda.stream(stream)

    def handle(self, stream: torch.cuda.Stream) -> int:
        """Return CUDA's own name of a stream."""
        return int(stream.cuda_stream)

    def event(self) -> torch.cuda.Event:
        """Return an event that can be recorded, waited for and timed."""
        return torch.cuda.Event(enable_timing=True)

    def pinned(self, length: int) -> torch.Tensor:
        """
        Return bytes that the GPU can read and write by itself.

        They come from PyTorch's cache of pinned memory, which gives a block out again only after
        the copies that were put on a stream with it have ended.
        """
        if self._pins:
            try:
                return torch.empty(length, dtype=torch.uint8, pin_memory=True)
            except RuntimeError as error:
                self._pins = False
                LOGGER.warning('cuda: no pinned memory (%s); copies are slower', one_line(error))
        return torch.empty(length, dtype=torch.uint8)

    def synchronize(self) -> None:
        """Wait for the three streams, and for no one else's."""
        for stream in (self.upload, self.compute, self.download):
            stream.synchronize()

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        """
        Record what a function puts on the compute stream.

        :return: what runs it again, and the function's result, whose tensors it writes anew.
        """
        graph = torch.cuda.CUDAGraph()
        # 'thread_local': what other threads (another model that is being loaded) ask of CUDA
        # meanwhile must not end the capture.
        with CAPTURE, torch.cuda.device(self.device), torch.cuda.graph(
                graph, pool=self._pool, stream=self.compute, capture_error_mode='thread_local'):
            result = function()
        return graph.replay, result

    def gpu(self) -> str:
        """Return name and compute capability of the GPU."""
        major, minor = torch.cuda.get_device_capability(self.device)
        return f'{torch.cuda.get_device_name(self.device)} {major}.{minor}'

    def free(self) -> None:
        """Give unused memory back to the GPU."""
        free_unused()


def one_line(error: BaseException) -> str:
    """Return an error's kind and text, short enough for a log."""
    return kind_and_text(error)[:300]
