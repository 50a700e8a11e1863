# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A network and its maps as OpenVINO graphs: converted once, then reshaped and compiled for a size.

Converting (tracing, then translating each operation) takes ten times as long as compiling, so it
is done once with height and width left open. What an encoder has computed in Python from the size
is a constant in a trace: each graph is compared with PyTorch before it is used, and where it says
something else, the network is converted again for that very size.
"""

from __future__ import annotations

from dataclasses import dataclass
import sys
from typing import Any
import warnings

from emu_perception.errors import InputError
from emu_perception.networks.multitask import (
    DEPTH,
    FoldedNetwork,
    SEGMENTATION,
    VARIANCE_FLOOR,
)
from emu_perception.uncertainty import label_entropy_confidence
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ORDER = (SEGMENTATION, DEPTH)
HINTS = {'fp32': 'f32', 'bf16': 'bf16', 'fp16': 'f16'}
# Largest difference from PyTorch that a sound graph shows, as a part of the largest value.
_TOLERANCE = {'fp32': 1e-3, 'bf16': 0.1, 'fp16': 0.05}


@dataclass
class Graphs:
    """
    The two inference requests of a size; each serves one caller at a time.

    :ivar used_s: when they were last asked for, steady clock.
    """

    network: Any
    maps: Any
    used_s: float = 0.0


class GraphMaker:
    """
    Makes the graphs of a size; one thread at a time.

    :param scale: with ``shift``, the input's normalisation [3], which becomes part of the graph.
    :param threads: of each graph.
    :raises InputError: if the network has a task that has no graph here.
    """

    def __init__(self, network: FoldedNetwork, scale: torch.Tensor, shift: torch.Tensor,
                 temperature: float, precision: str, threads: int) -> None:
        self.tasks = tuple(task for task in ORDER if task in network.tasks)
        if set(network.tasks) != set(self.tasks):
            raise InputError("backend is 'openvino', which knows the tasks "
                             f"{' and '.join(ORDER)}, not {', '.join(network.tasks)}: give "
                             "'eager'")
        self._network = NormalizedNetwork(network, scale, shift).eval()
        self._temperature, self._precision, self._threads = temperature, precision, threads
        # By the factors of the upsampling, which no encoder but one of another stride changes.
        self._open_maps: dict[tuple[tuple[int, int], ...], Any] = {}
        self._open_network: Any = None
        try:
            self._core = import_openvino().Core()
        except Exception as error:  # Libraries that do not fit, no CPU plugin.
            raise refusal(error) from error

    @torch.no_grad()
    def make(self, size: tuple[int, int]) -> Graphs:
        """
        Return the graphs for inputs and maps of ``size`` (height, width).

        :raises InputError: if OpenVINO cannot take this network.
        """
        # Noise: a mistake shows everywhere, and no value is rare.
        image = torch.from_numpy(np.random.default_rng(0).integers(
            0, 256, (1, *size, 3), np.uint8))
        try:
            expected = self._network(image)
            if self._open_network is None:
                self._open_network = converted(self._network, (image,), open_sizes=True)
            try:
                network = self._compiled(reshaped(self._open_network, (image,)), self._precision)
                agree(network, image, expected, self._precision)
            except (RuntimeError, Disagreement):
                network = self._compiled(converted(self._network, (image,)), self._precision)
                agree(network, image, expected, self._precision)
            return Graphs(network, self._compiled(self._maps(expected, size), 'fp32'))
        except Exception as error:  # openvino raises many kinds; all mean the same here.
            raise refusal(error) from error

    def _maps(self, raw: tuple[torch.Tensor, ...], size: tuple[int, int]) -> Any:
        if any(side % part for x in raw for side, part in zip(size, x.shape[-2:])):
            return converted(Maps(self.tasks, self._temperature, size=size), raw)
        factors = tuple((size[0] // x.shape[-2], size[1] // x.shape[-1]) for x in raw)
        if factors not in self._open_maps:
            self._open_maps[factors] = converted(
                Maps(self.tasks, self._temperature, factors=factors), raw, open_sizes=True)
        return reshaped(self._open_maps[factors], raw)

    def _compiled(self, model: Any, precision: str) -> Any:
        return self._core.compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': HINTS[precision],
            'INFERENCE_NUM_THREADS': self._threads}).create_infer_request()


class Disagreement(Exception):
    """A graph that says something else than PyTorch."""


def refusal(error: Exception) -> InputError:
    """Return what a user is told of an error of OpenVINO's."""
    reason = ' '.join(str(error).split())[:300]
    return InputError(f"backend is 'openvino', which cannot take this network ({reason}): give "
                      "'eager'")


def import_openvino() -> Any:
    """
    Import OpenVINO without its telemetry.

    With it, importing and converting report to a server on the Internet unless the user has
    found out how to decline: not from a robot. OpenVINO goes on without where it is not found.
    """
    if 'openvino' not in sys.modules:
        sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]
    import openvino
    return openvino


def converted(module: nn.Module, inputs: tuple[torch.Tensor, ...], *,
              open_sizes: bool = False) -> Any:
    """Return the graph of a module for the sizes of ``inputs``, or with height and width open."""
    with warnings.catch_warnings():
        # The tracer warns of what becomes a constant: ``agree`` finds where that is wrong.
        warnings.simplefilter('ignore')
        # Traced here: OpenVINO would trace twice, to compare, which takes twice as long.
        traced = torch.jit.trace(module, inputs, check_trace=False)
        return import_openvino().convert_model(
            traced, example_input=inputs if len(inputs) > 1 else inputs[0],
            input=[_open(x) if open_sizes else list(x.shape) for x in inputs])


def _open(x: torch.Tensor) -> list[int]:
    # uint8 images are [1, h, w, 3], raw maps [1, C, h, w].
    return [1, -1, -1, x.shape[3]] if x.dtype == torch.uint8 else [1, x.shape[1], -1, -1]


def reshaped(model: Any, inputs: tuple[torch.Tensor, ...]) -> Any:
    """Return a copy of a graph for the sizes of ``inputs``; the weights are shared."""
    copy = model.clone()
    copy.reshape({i: list(x.shape) for i, x in enumerate(inputs)})
    return copy


def agree(request: Any, image: torch.Tensor, expected: tuple[torch.Tensor, ...],
          precision: str) -> None:
    """
    Check a graph of the network against PyTorch's answer.

    :raises Disagreement: if it is another one.
    """
    request.infer([image.numpy()])
    for output, theirs in zip(request.output_tensors, expected, strict=True):
        ours = torch.from_numpy(output.data)
        if ours.shape != theirs.shape:
            raise Disagreement(f'its result is {list(ours.shape)}, not {list(theirs.shape)}')
        worst = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))
        if not worst <= _TOLERANCE[precision]:  # Written so that NaN is refused.
            raise Disagreement(f'its result is {worst:.0%} off')


class NormalizedNetwork(nn.Module):
    """The network with its input's normalisation before it: uint8 [1, h, w, 3] in."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: FoldedNetwork, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer('scale', scale)
        self.register_buffer('shift', shift)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the raw maps in the order of ``ORDER``."""
        x = (image.float() * self.scale + self.shift).permute(0, 3, 1, 2)
        raw = self.network(x)
        return tuple(raw[task] for task in ORDER if task in raw)


class Maps(nn.Module):
    """
    From raw maps to maps at the network's size.

    :param factors: of the upsampling of each raw map, (vertical, horizontal), or
    :param size: (height, width) of the maps, where no whole numbers lead there.
    """

    def __init__(self, tasks: tuple[str, ...], temperature: float, *,
                 factors: tuple[tuple[int, int], ...] = (),
                 size: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.tasks, self.temperature = tasks, temperature
        self.factors, self.size = factors, size

    def forward(self, *raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Upsample, then reduce: the order of training."""
        maps: tuple[torch.Tensor, ...] = ()
        for i, (task, x) in enumerate(zip(self.tasks, raw, strict=True)):
            size = self.size
            if size is None:
                size = (x.shape[-2] * self.factors[i][0], x.shape[-1] * self.factors[i][1])
            if task == SEGMENTATION:
                logits = F.interpolate(x / self.temperature, size=size, mode='bilinear',
                                       align_corners=False)
                label, entropy, confidence = label_entropy_confidence(logits)
                maps += (label.to(torch.uint8), entropy, confidence)
            else:
                mean, variance = F.interpolate(x, size=size, mode='bilinear',
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
