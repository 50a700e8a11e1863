# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
OpenVINO on CPUs: two to three times faster than PyTorch there, with the same result in float32.

Two graphs for each size (``openvino_graphs.py``): the network (in the precision asked for), and
the maps, which also upsample and take the entropy, always in float32. The few sizes used last are
kept.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
import threading
import time
from typing import Any

from emu_perception.backends.base import Backend
from emu_perception.backends.eager import EagerBackend
from emu_perception.backends.openvino_graphs import GraphMaker, Graphs
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.preprocessing import resized_image
import numpy as np
import torch

LOGGER = logging.getLogger('emu_perception')
KEPT_SIZES = 8
# Graphs used within this time are not thrown away for another size: with more sizes in turn than
# are kept, the robot would compile without end.
_IN_USE_S = 30.0
_NAMES = {SEGMENTATION: ('label', 'entropy', 'confidence'), DEPTH: ('depth', 'depth_variance')}


class OpenVinoBackend(Backend):
    """The folded network and its maps as OpenVINO graphs on the CPU."""

    name = 'openvino'
    devices = ('cpu',)
    package = 'openvino'

    def __init__(self, network: FoldedNetwork, **arguments: Any) -> None:
        super().__init__(network, **arguments)
        self._maker = GraphMaker(network, self.scale, self.shift, self.temperature,
                                 self.precision, torch.get_num_threads())
        self._names = [name for task in self._maker.tasks for name in _NAMES[task]]
        self._graphs: OrderedDict[tuple[int, int], Graphs] = OrderedDict()
        self._kept = threading.Lock()  # Of the graphs; never held for long.
        self._making = threading.Lock()
        # An inference request serves one caller at a time.
        self._inferring = threading.Lock()

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """Make the graphs of a size, or wait for those that are being made."""
        self._graphs_of(size)

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> Any:
        """Return uint8 [1, h, w, 3] with its graphs; the graph normalises."""
        return self._graphs_of(size), np.ascontiguousarray(resized_image(image, size))[None]

    def network(self, x: Any) -> Any:
        """Return the raw maps, one array a task, with their graphs."""
        graphs, array = x
        with self._inferring:
            graphs.network.infer([array], share_inputs=True)
            # Copied: the request's own memory is written over by the next image.
            return graphs, [output.data.copy() for output in graphs.network.output_tensors]

    def maps(self, raw: Any, size: tuple[int, int]) -> NetworkMaps:
        """Reduce in one graph, which never holds the upsampled logits of a whole image twice."""
        graphs, arrays = raw
        with self._inferring:
            graphs.maps.infer(arrays, share_inputs=True)
            found = [torch.from_numpy(output.data[0].copy())
                     for output in graphs.maps.output_tensors]
        return NetworkMaps(**dict(zip(self._names, found, strict=True)))

    def _kept_graphs(self, size: tuple[int, int]) -> Graphs | None:
        with self._kept:
            graphs = self._graphs.get(size)
            if graphs is not None:
                self._graphs.move_to_end(size)
                graphs.used_s = time.monotonic()
            return graphs

    def _graphs_of(self, size: tuple[int, int]) -> Graphs:
        graphs = self._kept_graphs(size)
        if graphs is not None:
            return graphs
        with self._making:
            # Another thread may have made them in the meantime.
            graphs = self._kept_graphs(size)
            if graphs is None:
                start = time.perf_counter()
                graphs = self._maker.make(size)
                LOGGER.info('openvino: compiled for %dx%d in %.1f s', size[1], size[0],
                            time.perf_counter() - start)
                with self._kept:
                    graphs.used_s = time.monotonic()
                    self._graphs[size] = graphs
                    while len(self._graphs) > KEPT_SIZES:
                        self._graphs.popitem(last=False)
            return graphs


class OpenVinoWhenReady(OpenVinoBackend):
    """
    OpenVINO for a robot: no image waits while the graphs of another size are made.

    ``compile`` is what start-up waits for. An image of a size without graphs is answered by
    PyTorch, with the same result, while a thread makes them.
    """

    def __init__(self, network: FoldedNetwork, **arguments: Any) -> None:
        super().__init__(network, **arguments)
        self._stand_in: EagerBackend | None = None
        # Made when first needed: a camera of one size never does. It shares the network.
        self._make_stand_in = lambda: EagerBackend(network, **arguments)
        self._state = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed = self._said_crowded = False

    def compile(self, size: tuple[int, int]) -> None:  # noqa: A003
        """Make the graphs of a size; where PyTorch has to stand in for good, that is said."""
        try:
            super().compile(size)
        except InputError as error:
            if not self._graphs:  # Start-up: another backend is to be chosen.
                raise
            self._give_up(error)

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> Any:
        """Return the input of whichever answers."""
        graphs = self._kept_graphs(size)
        if graphs is not None:
            return graphs, np.ascontiguousarray(resized_image(image, size))[None]
        with self._state:
            self._make_in_background(size)
            if self._stand_in is None:
                self._stand_in = self._make_stand_in()
        return None, self._stand_in.prepare(image, size)

    def network(self, x: Any) -> Any:
        """Return the raw maps of whichever answers."""
        graphs, prepared = x
        if graphs is None and self._stand_in is not None:
            return None, self._stand_in.network(prepared)
        return super().network(x)

    def maps(self, raw: Any, size: tuple[int, int]) -> NetworkMaps:
        """Return the maps of whichever answers."""
        graphs, maps = raw
        if graphs is None and self._stand_in is not None:
            return self._stand_in.maps(maps, size)
        return super().maps(raw, size)

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
            self._give_up(error)

    def _give_up(self, error: InputError) -> None:
        self._failed = True
        LOGGER.warning('%s; images of sizes that are not compiled yet stay with PyTorch, which is '
                       'slower', error)
