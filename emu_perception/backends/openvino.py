# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
OpenVINO on CPUs: two to three times faster than PyTorch there, with the same result in float32.

Two graphs for each size: the network (in the precision asked for), and the maps, which also
upsample and take the entropy, always in float32. What a graph costs is paid once, at the first
image of a size; the few sizes used last are kept.
"""

from __future__ import annotations

from collections import OrderedDict
import logging
import threading
from typing import Any
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from emu_perception.backends.base import Backend, NetworkMaps
from emu_perception.errors import InputError
from emu_perception.networks.multitask import (
    DEPTH,
    FoldedNetwork,
    SEGMENTATION,
    VARIANCE_FLOOR,
)
from emu_perception.preprocessing import resized_image
from emu_perception.uncertainty import label_entropy_confidence

LOGGER = logging.getLogger('emu_perception')
KEPT_SIZES = 4
_HINTS = {'fp32': 'f32', 'bf16': 'bf16', 'fp16': 'f16'}


class OpenVinoBackend(Backend):
    """The folded network and its maps as OpenVINO graphs on the CPU."""

    name = 'openvino'
    devices = ('cpu',)
    package = 'openvino'

    def __init__(self, network: FoldedNetwork, **arguments: Any) -> None:
        super().__init__(network, **arguments)
        self._module = _Normalized(network, self.scale, self.shift)
        self._graphs: OrderedDict[tuple[int, int], tuple[Any, Any]] = OrderedDict()
        # An inference request serves one caller at a time.
        self._lock = threading.Lock()

    def compile(self, size: tuple[int, int]) -> None:
        """Make the graphs of a size."""
        with self._lock:
            self._requests(size)

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return uint8 [1, h, w, 3]; the graph normalises."""
        return np.ascontiguousarray(resized_image(image, size))[None]

    def network(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the raw maps, one array a task."""
        with self._lock:
            request, _ = self._requests((x.shape[1], x.shape[2]))
            request.infer([x], share_inputs=True)
            # Copied: the request's own memory is written over by the next image.
            return [output.data.copy() for output in request.output_tensors]

    def maps(self, raw: list[np.ndarray], size: tuple[int, int]) -> NetworkMaps:
        """Reduce in one graph, which never holds the upsampled logits of a whole image twice."""
        with self._lock:
            _, request = self._requests(size)
            request.infer(raw, share_inputs=True)
            found = [torch.from_numpy(output.data[0].copy()) for output in request.output_tensors]
        names: list[str] = []
        if SEGMENTATION in self._module.tasks:
            names += ['label', 'entropy', 'confidence']
        if DEPTH in self._module.tasks:
            names += ['depth', 'depth_variance']
        return NetworkMaps(**dict(zip(names, found, strict=True)))

    def _requests(self, size: tuple[int, int]) -> tuple[Any, Any]:
        if size in self._graphs:
            self._graphs.move_to_end(size)
            return self._graphs[size]
        LOGGER.info('openvino: compiling for %dx%d', size[1], size[0])
        image = torch.zeros(1, *size, 3, dtype=torch.uint8)
        maps = _Maps(self._module.tasks, size, self.temperature)
        try:
            with torch.no_grad():
                raw = self._module(image)
            self._graphs[size] = (_compiled(self._module, (image,), _HINTS[self.precision]),
                                  _compiled(maps, raw, 'f32'))
        except Exception as error:  # openvino raises many kinds; all mean the same here.
            reason = ' '.join(str(error).split())[:300]
            raise InputError(f"backend is 'openvino', which cannot take this network ({reason}): "
                             "give 'eager'") from error
        while len(self._graphs) > KEPT_SIZES:
            self._graphs.popitem(last=False)
        return self._graphs[size]


def _compiled(module: nn.Module, inputs: tuple[torch.Tensor, ...], hint: str) -> Any:
    import openvino
    with warnings.catch_warnings():
        # The tracer warns of shapes that become constants: they are meant to.
        warnings.simplefilter('ignore')
        model = openvino.convert_model(
            module.eval(), example_input=inputs if len(inputs) > 1 else inputs[0],
            input=[list(x.shape) for x in inputs])
    return openvino.Core().compile_model(model, 'CPU', {
        'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': hint,
        'INFERENCE_NUM_THREADS': torch.get_num_threads()}).create_infer_request()


class _Normalized(nn.Module):
    """The network with its input's normalisation before it: uint8 [1, h, w, 3] in."""

    def __init__(self, network: FoldedNetwork, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.tasks = network.tasks
        self.network = network
        self.register_buffer('scale', scale)
        self.register_buffer('shift', shift)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = (image.float() * self.scale + self.shift).permute(0, 3, 1, 2)
        raw = self.network(x)
        return tuple(raw[task] for task in _ORDER if task in raw)


class _Maps(nn.Module):
    """From raw maps to maps at the network's size."""

    def __init__(self, tasks: tuple[str, ...], size: tuple[int, int], temperature: float) -> None:
        super().__init__()
        self.tasks, self.size, self.temperature = tasks, size, temperature

    def forward(self, *raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parts = dict(zip((task for task in _ORDER if task in self.tasks), raw))
        maps: tuple[torch.Tensor, ...] = ()
        if SEGMENTATION in parts:
            logits = F.interpolate(parts[SEGMENTATION] / self.temperature, size=self.size,
                                   mode='bilinear', align_corners=False)
            label, entropy, confidence = label_entropy_confidence(logits)
            maps += (label.to(torch.uint8), entropy, confidence)
        if DEPTH in parts:
            mean, variance = F.interpolate(parts[DEPTH], size=self.size, mode='bilinear',
                                           align_corners=False).unbind(1)
            maps += (F.relu(mean), _softplus(variance) + VARIANCE_FLOOR)
        return maps


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """
    Return log(1 + e^x), accurate for small results too.

    OpenVINO computes it as it is written, which is 7 % off at x = -12: there e^x is lost beside
    the 1. Below -4 the first terms of the series are exact to 2e-6.
    """
    e = x.clamp(max=-4.0).exp()
    return torch.where(x < -4.0, e * (1.0 - e * (0.5 - e / 3.0)), F.softplus(x))


_ORDER = (SEGMENTATION, DEPTH)
