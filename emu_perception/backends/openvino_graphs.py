# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A network and its maps as graphs of one size: from the cache, or converted, reshaped and compiled.

Converting takes ten times as long as compiling, so it is done once with height and width left
open. What an encoder has computed in Python from the size is a constant then: a graph that does
not prove itself is followed by one that was converted for that very size.
"""

from __future__ import annotations

from collections.abc import Iterator
import logging
from pathlib import Path
import platform
import threading
import time
from typing import Any

from emu_perception import __version__
from emu_perception.backends.base import Stages
from emu_perception.backends.network_hash import network_hash
from emu_perception.backends.openvino_conversion import (
    Conversion,
    import_openvino,
    models_of,
    reshaped,
)
from emu_perception.backends.openvino_modules import NormalizedNetwork, ORDER
from emu_perception.backends.request import BackendOptions
from emu_perception.backends.signal_stack import kept_signal_stack
from emu_perception.backends.timm_version import timm_version
from emu_perception.cache_files import (
    cache_folder,
    cache_key,
    keep_newest,
    read_cached,
    write_cached,
)
from emu_perception.errors import InputError, text_of
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.outputs import EPISTEMIC
from emu_perception.preprocessing import resized_image
import numpy as np
import torch

LOGGER = logging.getLogger('emu_perception')
HINTS = {'fp32': 'f32', 'bf16': 'bf16', 'fp16': 'f16'}
# What is kept in the cache, of all networks and sizes.
KEPT_FILES, KEPT_BYTES = 32, 1 << 30
_NAMES = {SEGMENTATION: ('label', 'entropy', 'confidence'), DEPTH: ('depth', 'depth_variance'),
          EPISTEMIC[SEGMENTATION]: ('mutual_information',), EPISTEMIC[DEPTH]: ('depth_epistemic',)}


class GraphStages(Stages[np.ndarray, list[np.ndarray]]):
    """
    The two graphs of a size: the network in the precision asked for, the maps in float32.

    :param network: OpenVINO's compiled model, as ``maps``.
    :ivar from_file: whether an earlier start has made them.
    :ivar used_s: when it was last asked for, steady clock.
    """

    def __init__(self, network: Any, maps: Any, tasks: tuple[str, ...],
                 options: BackendOptions, from_file: bool = False) -> None:
        self.options, self.from_file = options, from_file
        self.compiled = network, maps
        self.used_s = time.monotonic()
        self._network, self._maps = network.create_infer_request(), maps.create_infer_request()
        # An inference request serves one caller at a time.
        self._inferring = threading.Lock()
        self._tasks = len(tasks)
        self._names = [name for task in tasks for name in _NAMES[task]]

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return uint8 [1, h, w, 3]; the graph normalises."""
        return np.ascontiguousarray(resized_image(image, size))[None]

    def network(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the raw maps, one array a task, and the statistics where they are asked for."""
        with self._inferring:
            self._network.infer([x], share_inputs=True)
            # Copied: the request's own memory is written over by the next image.
            return [output.data.copy() for output in self._network.output_tensors]

    def maps(self, raw: list[np.ndarray], size: tuple[int, int]) -> NetworkMaps:
        """Reduce in one graph, which never holds the upsampled logits of a whole image twice."""
        with self._inferring:
            self._maps.infer(raw[:self._tasks], share_inputs=True)
            found = [torch.from_numpy(output.data[0].copy())
                     for output in self._maps.output_tensors]
        statistics = (torch.from_numpy(raw[self._tasks][0]) if self.options.statistics
                      else None)
        return NetworkMaps(**dict(zip(self._names, found, strict=True)), statistics=statistics)


class GraphMaker:
    """
    Makes the graphs of a size; one thread at a time.

    :raises InputError: if the network has a task that has no graph here, or OpenVINO fails.
    """

    def __init__(self, network: FoldedNetwork, options: BackendOptions) -> None:
        self._tasks = tuple(task for task in ORDER if task in network.tasks)
        if set(network.tasks) != set(self._tasks):
            raise InputError("backend is 'openvino', which knows the tasks "
                             f"{' and '.join(ORDER)}, not {', '.join(network.tasks)}: give "
                             "'eager'")
        self._network = NormalizedNetwork(network, *options.normalization(),
                                          options.statistics).eval()
        self._options, self._threads = options, torch.get_num_threads()
        self._open: tuple[Any, Any] | None = None
        self._hash = ''
        try:
            with kept_signal_stack():
                self._openvino = import_openvino()
                self._core = self._openvino.Core()
                # The first question loads the plugin.
                self._cpu = (self._core.get_property('CPU', 'FULL_DEVICE_NAME'),
                             self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'))
        except Exception as error:  # Libraries that do not fit, no CPU plugin.
            raise refusal(error) from error
        self._precision = options.precision
        if self._precision == 'fp16' and 'FP16' not in self._cpu[1]:
            # OpenVINO would take bfloat16 without a word, which is eight times as coarse.
            LOGGER.warning('openvino: this CPU has no float16 arithmetic; the network runs in '
                           'float32')
            self._precision = 'fp32'

    def make(self, size: tuple[int, int]) -> Iterator[GraphStages]:
        """
        Yield the graphs for inputs of ``size`` (height, width), the quickest to be had first.

        None of them has proven itself yet; who takes one that has gives it to ``keep``.

        :raises Exception: of many kinds, if OpenVINO cannot take this network.
        """
        kept = self._read(size)
        if kept is not None:
            yield kept
        if self._open is None:
            self._open = models_of(self._conversion(size, open_sizes=True))
        try:
            network = reshaped(self._open[0], [[1, *size, 3]])
            maps = reshaped(self._open[1], [list(output.shape)
                                            for output in network.outputs[:len(self._tasks)]])
            graphs = self._compiled(network, maps)
        except RuntimeError as error:
            LOGGER.debug('openvino: no graph with open sizes for %dx%d (%s)', *size[::-1], error)
        else:
            yield graphs
        yield self._compiled(*models_of(self._conversion(size, open_sizes=False)))

    def keep(self, size: tuple[int, int], graphs: GraphStages) -> None:
        """Keep graphs for the next start, unless they come from an earlier one."""
        if graphs.from_file:
            return
        try:
            network, maps = (model.export_model().getvalue() for model in graphs.compiled)
        except RuntimeError as error:
            LOGGER.debug('openvino: the graphs cannot be written (%s)', error)
            return
        path, key = self._file(size)
        whole = b''.join([len(network).to_bytes(8, 'little'), network, maps])
        if write_cached(path, key, whole, 'the graphs are made again at the next start'):
            keep_newest(path.parent, KEPT_FILES, KEPT_BYTES)

    def _conversion(self, size: tuple[int, int], open_sizes: bool) -> Conversion:
        return Conversion(self._network, self._options.temperature, size, open_sizes)

    def _compiled(self, network: Any, maps: Any) -> GraphStages:
        return GraphStages(
            self._core.compile_model(network, 'CPU', self._settings(self._precision)),
            self._core.compile_model(maps, 'CPU', self._settings('fp32')),
            self._tasks, self._options)

    def _settings(self, precision: str) -> dict[str, object]:
        return {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': HINTS[precision],
                'INFERENCE_NUM_THREADS': self._threads}

    def _read(self, size: tuple[int, int]) -> GraphStages | None:
        kept = read_cached(*self._file(size), 'the graphs are made again')
        if kept is None:
            return None
        end = 8 + int.from_bytes(kept[:8], 'little')
        try:
            return GraphStages(
                self._core.import_model(kept[8:end], 'CPU', self._settings(self._precision)),
                self._core.import_model(kept[end:], 'CPU', self._settings('fp32')),
                self._tasks, self._options, from_file=True)
        except RuntimeError as error:
            LOGGER.warning('openvino: the kept graphs do not run (%s); they are made again',
                           text_of(error)[:300])
            return None

    @property
    def origin(self) -> str:
        """Return the key of what PyTorch's answers are made from: the network, this processor."""
        return cache_key(self._network_hash(), self._threads, platform.machine(), self._cpu[0],
                         timm_version())

    def _network_hash(self) -> str:
        if not self._hash:
            self._hash = network_hash(self._network)
        return self._hash

    def _file(self, size: tuple[int, int]) -> tuple[Path, str]:
        """Return where the graphs of a size are kept, and the key of all they are made from."""
        options = self._options
        key = cache_key('graphs', self._network_hash(), options.temperature, options.statistics,
                        self._precision, size,
                        self._threads, platform.machine(), *self._cpu, self._openvino.__version__,
                        torch.__version__, timm_version(), __version__)
        return cache_folder('openvino') / f'{key}.graphs', key


def refusal(error: Exception) -> InputError:
    """Return what a user is told of an error of OpenVINO's."""
    return InputError("backend is 'openvino', which cannot take this network "
                      f"({text_of(error)[:300]}): give 'eager'")
