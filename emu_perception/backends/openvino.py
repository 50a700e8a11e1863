# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
OpenVINO on CPUs: two to three times faster than PyTorch there, with the same result in float32.

Two graphs for each size (``openvino_graphs.py``): the network (in the precision asked for), and
the maps, which also upsample and take the entropy, always in float32. The few sizes used last are
kept in memory, and more of them in a cache on disk.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
import threading
import time

from emu_perception.backends import host_memory
from emu_perception.backends.base import Backend
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.kept_proof import KeptProof
from emu_perception.backends.openvino_graphs import GraphMaker, GraphStages, refusal
from emu_perception.backends.proving import Disproof, Proof
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.cache_files import cache_folder
from emu_perception.errors import InputError
from emu_perception.networks.multitask import FoldedNetwork
from emu_perception.prediction import Prediction
import numpy as np

LOGGER = logging.getLogger('emu_perception')
KEPT_SIZES = 8
# Graphs used within this time are not thrown away for another size: with more sizes in turn than
# are kept, the robot would compile without end.
_IN_USE_S = 30.0


class OpenVinoBackend(Backend):
    """The folded network and its maps as OpenVINO graphs on the CPU."""

    name = 'openvino'

    def __init__(self, network: FoldedNetwork, options: BackendOptions) -> None:
        super().__init__(network, options)
        self._network = network
        self._maker = GraphMaker(network, options)
        self._graphs: OrderedDict[tuple[int, int], GraphStages] = OrderedDict()
        self._eager: EagerBackend | None = None
        self._refused: set[tuple[int, int]] = set()
        self._kept = threading.Lock()  # Of what is above; never held for long.
        self._making = threading.Lock()

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """Make the graphs of a size, or wait for those that are being made."""
        if size in self._refused:
            return
        try:
            self._graphs_of(size)
        except Disproof as error:
            if not self._graphs:  # Start-up: another backend is to be chosen.
                raise
            self._refuse(size, error)

    def predict(self, image: np.ndarray, request: Request) -> Prediction:
        """Answer one image; the first of a size waits for its graphs."""
        if request.network_size not in self._refused:
            try:
                return self._graphs_of(request.network_size).predict(image, request)
            except Disproof as error:
                self._refuse(request.network_size, error)
        return self._plain().predict(image, request)

    def _plain(self) -> EagerBackend:
        # Made when first needed, which most never do. It shares the network.
        with self._kept:
            if self._eager is None:
                self._eager = EagerBackend(self._network, self.options)
            return self._eager

    def _refuse(self, size: tuple[int, int], error: Disproof) -> None:
        self._refused.add(size)
        self.notes.append(str(error))
        LOGGER.error('%s; images of this size stay with PyTorch, which is slower', error)

    def _kept_graphs(self, size: tuple[int, int]) -> GraphStages | None:
        with self._kept:
            graphs = self._graphs.get(size)
            if graphs is not None:
                self._graphs.move_to_end(size)
                graphs.used_s = time.monotonic()
            return graphs

    def _graphs_of(self, size: tuple[int, int]) -> GraphStages:
        graphs = self._kept_graphs(size)
        if graphs is not None:
            return graphs
        with self._making:
            # Another thread may have made them in the meantime.
            graphs = self._kept_graphs(size)
            if graphs is None:
                graphs = self._proven(size)
                with self._kept:
                    graphs.used_s = time.monotonic()
                    self._graphs[size] = graphs
                    while len(self._graphs) > KEPT_SIZES:
                        self._graphs.popitem(last=False)
            return graphs

    def _proven(self, size: tuple[int, int]) -> GraphStages:
        """Return the first graphs of a size that say what PyTorch says."""
        start = time.perf_counter()
        problem: Exception | None = None
        try:
            proof = KeptProof(lambda: Proof(self._network, self.options, size), self.options,
                              size, cache_folder('answers'), self._maker.origin)
            for graphs in self._maker.make(size):
                try:
                    proof.check(self.name, graphs.predict)
                except (RuntimeError, Disproof) as error:
                    LOGGER.debug('openvino: %s', error)
                    problem = error
                    continue
                LOGGER.info('openvino: compiled for %dx%d in %.1f s', *size,
                            time.perf_counter() - start)
                self._maker.keep(size, graphs)
                proof.keep()
                return graphs
        except InputError:
            raise
        except Exception as error:  # openvino raises many kinds; all mean the same here.
            raise refusal(error) from error
        assert problem is not None, 'the maker yields at least one'
        raise problem if isinstance(problem, Disproof) else refusal(problem) from problem


class OpenVinoWhenReady(OpenVinoBackend):
    """
    OpenVINO for a robot: no image waits while the graphs of another size are made.

    ``compile`` is what start-up waits for. An image of a size without graphs is answered by
    PyTorch, with the same result, while a thread makes them.
    """

    def __init__(self, network: FoldedNetwork, options: BackendOptions) -> None:
        super().__init__(network, options)
        self._state = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed = self._said_crowded = False

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """Make the graphs of a size; where PyTorch has to stand in for good, that is said."""
        if size in self._refused:
            return
        try:
            self._graphs_of(size)
        except InputError as error:
            if not self._graphs:  # Start-up: another backend is to be chosen.
                raise
            self._give_up(size, error)

    def predict(self, image: np.ndarray, request: Request) -> Prediction:
        """Answer one image by whoever is ready."""
        graphs = self._kept_graphs(request.network_size)
        if graphs is not None:
            return graphs.predict(image, request)
        with self._state:
            self._make_in_background(request.network_size)
        return self._plain().predict(image, request)

    def _make_in_background(self, size: tuple[int, int]) -> None:
        # One at a time: a second new size is made when an image of it comes after the first.
        if self._failed or (self._thread is not None and self._thread.is_alive()):
            return
        with self._kept:
            crowded = len(self._graphs) >= KEPT_SIZES and \
                time.monotonic() - next(iter(self._graphs.values())).used_s < _IN_USE_S
        if crowded:
            if not self._said_crowded:
                self._said_crowded = True
                LOGGER.warning('openvino: more than %d image sizes in turn; those beyond stay '
                               'with PyTorch, which is slower', KEPT_SIZES)
            return
        LOGGER.info('openvino: images of a new size; PyTorch answers while %dx%d is compiled',
                    size[1], size[0])
        # No daemon: an interpreter that ends beneath OpenVINO would crash instead of exiting.
        self._thread = threading.Thread(target=self._make, args=(size,), name='emu_compile')
        self._thread.start()

    def _make(self, size: tuple[int, int]) -> None:
        try:
            self._graphs_of(size)
        except InputError as error:
            self._give_up(size, error)
        host_memory.free_unused()

    def _give_up(self, size: tuple[int, int], error: InputError) -> None:
        self._failed = True
        self._refused.add(size)
        self.notes.append(str(error))
        LOGGER.warning('%s; images of sizes that are not compiled yet stay with PyTorch, which is '
                       'slower', error)
