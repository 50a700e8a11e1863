# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Loaded networks, shared by the nodes of one process.

Four cameras of one robot run the same checkpoint: its weights are in memory once, and the cameras
take turns. A network is freed when the last node that uses it gives it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
import sys
import threading
import time
from typing import TYPE_CHECKING

from emu_perception.errors import InputError
from emu_perception.prediction import Prediction
from emu_perception.predicts import Predicts
from emu_perception.region import Region
from emu_perception.uncollected import uncollected
import numpy as np

if TYPE_CHECKING:  # The checkpoint module needs torch, which a node may lack until configure.
    from emu_perception.checkpoint import CheckpointMetadata


def load_predictor(path: Path, *, device: str, precision: str, backend: str) -> Predicts:
    """Load the core's Predictor; torch is imported here, so that the node can start without."""
    with uncollected('emu_perception.predictor'):
        from emu_perception.predictor import Predictor
    found = Predictor.load(path, device=device, precision=precision, backend=backend)
    found.says_unscaled = False  # The node says what it withholds, and the remedy.
    return found


def empty_cuda_cache() -> None:
    """Give back what torch keeps of the GPU's memory without using it."""
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_available():
        from emu_perception.backends.cuda_memory import free_unused
        free_unused()


class FairLock:
    """
    A lock that serves those who wait in the order in which they came.

    With ``threading.Lock`` a busy camera takes it again before another's thread has woken up.
    """

    def __init__(self) -> None:
        """Start unlocked."""
        self._lock = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        """Wait for the turn."""
        turn = threading.Event()
        with self._lock:
            self._queue.append(turn)
            if self._queue[0] is turn:
                turn.set()
        turn.wait()

    def __exit__(self, *_: object) -> None:
        """Hand the turn on."""
        with self._lock:
            self._queue.popleft()
            if self._queue:
                self._queue[0].set()


@dataclass(frozen=True)
class ModelKey:
    """
    What makes two loaded networks the same: file, device, arithmetic and what runs it.

    :ivar path: as it was given; two names of one file are one model.
    :ivar content: inode, time and size of the file, so that another file under the same name is
        another model; the path where there is no such file.
    """

    path: Path = field(compare=False)
    device: str
    precision: str
    backend: str
    content: tuple[object, ...]

    @classmethod
    def of(cls, path: Path, device: str, precision: str, backend: str) -> ModelKey:
        """Return the key of what is on disk now."""
        try:
            found = path.stat()
        except OSError:
            return cls(path, device, precision, backend, (str(path),))
        return cls(path, device, precision, backend, (
            found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size))


@dataclass
class _Network:
    predictor: Predicts
    users: int = 0
    turn: FairLock = field(default_factory=FairLock)


class PredictorPool:
    """The networks of a process; its methods may be called from any thread."""

    def __init__(self, loader: Callable[..., Predicts]) -> None:
        """
        Start empty.

        :param loader: called with the path, ``device``, ``precision`` and ``backend``, as
            :func:`load_predictor`.
        """
        self._loader = loader
        self._networks: dict[ModelKey, _Network] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def take(self, path: Path, *, device: str, precision: str, backend: str
             ) -> SharedPredictor:
        """
        Return a network, warmed up: the one that is there already, else a newly loaded one.

        Whatever the loader or the warm-up raises is passed on, with nothing left in memory.
        """
        # One load at a time: the second of two equal wishes finds what the first has loaded.
        with self._loading:
            key = ModelKey.of(path, device, precision, backend)
            network = self._join(key)
            if network is None:
                predictor = self._loader(path, device=device, precision=precision,
                                         backend=backend)
                try:
                    # Once: a backend that stands in for PyTorch has answered its probes already.
                    predictor.warm_up(runs=1)
                except Exception:
                    predictor.close()
                    raise
                network = _Network(predictor, users=1)
                with self._lock:
                    self._networks[key] = network
        return SharedPredictor(self, key, network)

    @property
    def loaded(self) -> int:
        """Return how many networks are in memory."""
        return len(self._networks)

    def _join(self, key: ModelKey) -> _Network | None:
        with self._lock:
            network = self._networks.get(key)
            if network is not None:
                network.users += 1
            return network

    def _leave(self, key: ModelKey, network: _Network) -> None:
        with self._lock:
            network.users -= 1
            if network.users:
                return
            del self._networks[key]
        network.predictor.close()


class SharedPredictor:
    """
    One node's share of a network: called like a Predictor, it waits for its turn.

    :ivar key: what was loaded.
    """

    def __init__(self, pool: PredictorPool, key: ModelKey, network: _Network) -> None:
        """Be made by the pool alone, which counts the shares."""
        self.key = key
        self._pool = pool
        self._network = network
        self._closed = False

    def __call__(self, image: np.ndarray, *, size: tuple[int, int] | None = None,
                 fx: float | None = None, unknown_label_entropy: float | None = None,
                 score_region: Region | None = None) -> Prediction:
        """Run the network on an image; as Predictor, with the wait as ``turn`` in timing_ms."""
        if self._closed:
            raise InputError('the predictor is closed: load it again')
        asked = time.perf_counter()
        with self._network.turn:
            begun = time.perf_counter()
            prediction = self._network.predictor(
                image, size=size, fx=fx, unknown_label_entropy=unknown_label_entropy,
                score_region=score_region)
        prediction.timing_ms['turn'] = 1e3 * (begun - asked)
        return prediction

    @property
    def metadata(self) -> CheckpointMetadata:
        """Return the document of the checkpoint."""
        return self._network.predictor.metadata

    @property
    def device_description(self) -> str:
        """Return the device really used, in words."""
        return self._network.predictor.device_description

    @property
    def precision(self) -> str:
        """Return the precision of the network."""
        return self._network.predictor.precision

    @property
    def backend(self) -> str:
        """Return the name of what runs the network."""
        return self._network.predictor.backend

    @property
    def backend_notes(self) -> tuple[str, ...]:
        """Return which backends were refused and why, one line each."""
        return self._network.predictor.backend_notes

    def network_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) the network runs at for images of ``image_size``."""
        return self._network.predictor.network_size(image_size)

    def warm_up(self, image_size: tuple[int, int] | None = None, runs: int = 2) -> None:
        """Run on a grey image, when it is this node's turn."""
        with self._network.turn:
            self._network.predictor.warm_up(image_size, runs)

    @property
    def users(self) -> int:
        """Return how many nodes share the network."""
        return self._network.users

    def close(self) -> None:
        """Give this share back; the last one frees the network. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._pool._leave(self.key, self._network)
