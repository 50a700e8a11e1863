# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A CPU in the place of a GPU: streams that do everything at once, graphs that replay operations.

A graph here does what a real one does: it runs the tensor operations of the capture again, on the
same memory, and nothing of the Python around them. What a capture may not contain is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
import time
from typing import Any

from emu_perception.backends import BACKENDS, cuda
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.prediction import Prediction
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from rounding import NETWORK
import torch
from torch.utils._python_dispatch import TorchDispatchMode

MAPS = ('depth', 'segmentation_entropy', 'confidence', 'depth_variance')


class Event:
    """An event of a stream whose work is done as soon as it is asked for."""

    def __init__(self) -> None:
        """Start as not recorded."""
        self.at: float | None = None

    def record(self, stream: Any) -> None:
        """Note the time."""
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Refuse what would wait for ever."""
        assert self.at is not None, 'an event was waited for that nothing has recorded'

    def elapsed_time(self, other: Event) -> float:
        """Return milliseconds."""
        assert self.at is not None and other.at is not None
        return 1e3 * (other.at - self.at)


class Stream:
    """A stream; it counts what it waited for."""

    def __init__(self) -> None:
        """Start idle."""
        self.waited = 0

    def wait_event(self, event: Event) -> None:
        """Wait for an event, which has to be recorded before."""
        event.synchronize()
        self.waited += 1


class Tape(TorchDispatchMode):
    """Records operations, and refuses those that make the CPU wait for a value."""

    open: list[Tape] = []  # noqa: A003
    FORBIDDEN = ('_local_scalar_dense', 'nonzero', 'is_pinned', 'masked_select')

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __enter__(self) -> Any:
        """Be found by what is no tensor operation."""
        Tape.open.append(self)
        return super().__enter__()

    def __exit__(self, *reason: Any) -> None:
        """Be found no more."""
        Tape.open.remove(self)
        super().__exit__(*reason)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (),
                           kwargs: Any = None) -> Any:
        """Run and record."""
        if any(name in str(function) for name in self.FORBIDDEN):
            raise RuntimeError('CUDA error: operation not permitted when stream is capturing '
                               f'({function})')
        result = function(*arguments, **(kwargs or {}))
        self.operations.append((function, arguments, kwargs or {}, result))
        return result

    @torch.inference_mode()
    def replay(self) -> None:
        """Run the operations again, on the memory of the first time."""
        for function, arguments, kwargs, before in self.operations:
            after = function(*arguments, **kwargs)
            for old, new in zip(*(x if isinstance(x, (tuple, list)) else [x]
                                  for x in (before, after))):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Runtime:
    """``CudaRuntime`` without CUDA."""

    made: list[Runtime] = []

    def __init__(self, device: torch.device) -> None:
        """Have three streams."""
        self.upload, self.compute, self.download = Stream(), Stream(), Stream()
        self.captures = self.freed = self.synchronized = 0
        self.made.append(self)

    def on(self, stream: Stream) -> Any:
        """Do nothing."""
        return nullcontext()

    def gpu(self) -> str:
        """Return a name."""
        return 'a CPU 9.0'

    def handle(self, stream: Stream) -> int:
        """Return a number."""
        return 7

    def event(self) -> Event:
        """Return an event."""
        return Event()

    def pinned(self, length: int) -> torch.Tensor:
        """Return memory with something in it."""
        return torch.full((length,), 171, dtype=torch.uint8)

    def synchronize(self) -> None:
        """Count."""
        self.synchronized += 1

    def capture(self, function: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        """Record what the function does."""
        self.captures += 1
        with Tape() as tape:
            result = function()
        return tape.replay, result

    def free(self) -> None:
        """Count."""
        self.freed += 1


def pretend_cuda(monkeypatch: pytest.MonkeyPatch) -> list[Runtime]:
    """Let backend 'cuda' run on the CPU; returns the runtimes that are made."""
    monkeypatch.setattr(cuda, 'CudaRuntime', Runtime)
    for name in ('cuda', 'tensorrt'):
        monkeypatch.setitem(BACKENDS, name, replace(BACKENDS[name], devices=('cpu',)))
    monkeypatch.setattr(Runtime, 'made', [])
    return Runtime.made


def two(network: MultitaskNetwork, metadata: Any, backend: str = 'cuda',
        **arguments: Any) -> tuple[Predictor, Predictor]:
    """Return predictors of one network: PyTorch stage by stage, and the fast path."""
    return (Predictor(network, metadata, device='cpu', backend='eager', **arguments),
            Predictor(network, metadata, device='cpu', backend=backend, **arguments))


def assert_same(one: Prediction, two_: Prediction, tolerance: float = NETWORK) -> None:
    """Hold two predictions against each other."""
    assert one.network_size == two_.network_size and one.timing_ms.keys() == two_.timing_ms.keys()
    for name in MAPS:
        a, b = getattr(one, name), getattr(two_, name)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype and b.flags.c_contiguous and b.flags.writeable
            assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True), name
    if one.label is not None:
        assert two_.label.dtype == np.uint8 and (one.label != two_.label).mean() <= max(
            1e-3, tolerance)
    assert two_.scores == pytest.approx(one.scores, rel=tolerance)


def picture(height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Return noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def spoil_graphs(monkeypatch: pytest.MonkeyPatch,
                 change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Have each replay of a captured network end in something else: ``change`` its raw maps."""
    real = Runtime.capture

    def wrong(self: Runtime, function: Any) -> Any:
        replay, result = real(self, function)

        def other() -> None:
            replay()
            if isinstance(result, dict):
                change(result)
        return other, result
    monkeypatch.setattr(Runtime, 'capture', wrong)
