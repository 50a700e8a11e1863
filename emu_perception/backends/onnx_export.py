# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A folded network as an ONNX file of one size, for compilers that read ONNX."""

from __future__ import annotations

import copy
from pathlib import Path
import warnings

from emu_perception.networks.context import PyramidPooling
from emu_perception.networks.depth_forms import DepthForm
from emu_perception.networks.multitask import FoldedNetwork
from emu_perception.networks.statistics import picture_statistics, STATISTICS
import torch
from torch import nn
from torch.nn import functional as F

OPSET = 17
INPUT = 'image'
STATISTICS_NODES = '/statistics/'


@torch.inference_mode(False)
@torch.no_grad()
def export_onnx(network: FoldedNetwork, size: tuple[int, int], path: Path,
                statistics: bool = False) -> None:
    """
    Write the network: float32 [1, 3, h, w] ``image``, normalised, to the raw map of each task.

    :param network: stays as it is.
    :param size: (height, width), multiples of 32.
    :param statistics: whether the output ``statistics`` comes last; its nodes' names begin with
        ``STATISTICS_NODES``.
    """
    module = RawNetwork(copy.deepcopy(network).cpu().float(), size, statistics).eval()
    names = [*network.tasks, STATISTICS] if statistics else list(network.tasks)
    with warnings.catch_warnings():
        # The tracer warns of shapes that become constants: they are meant to.
        warnings.simplefilter('ignore')
        # The older exporter needs the package onnx alone, the newer one onnxscript too.
        torch.onnx.export(module, (torch.zeros(1, 3, *size),), str(path), input_names=[INPUT],
                          output_names=names, opset_version=OPSET, dynamo=False)


class RawNetwork(nn.Module):
    """The network with a tuple for its dict, and without what ONNX has no operator for."""

    def __init__(self, network: FoldedNetwork, size: tuple[int, int], statistics: bool) -> None:
        super().__init__()
        self.network = network
        self.statistics = _Statistics(network.depth_form) if statistics else None
        if isinstance(network.context, PyramidPooling):
            network.context = _MatrixPooling(network.context, (size[0] // 32, size[1] // 32))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        network = self.network
        *fine, coarsest = network.encoder(x)
        raw = network.heads([*fine, network.context(coarsest)])
        found = tuple(raw[task] for task in network.tasks)
        if self.statistics is None:
            return found
        return (*found, self.statistics([*fine, coarsest], raw))


class _Statistics(nn.Module):
    """``picture_statistics`` as a module, which gives its nodes a name."""

    def __init__(self, form: DepthForm) -> None:
        super().__init__()
        self.form = form

    def forward(self, maps: list[torch.Tensor], raw: dict[str, torch.Tensor]) -> torch.Tensor:
        return picture_statistics(maps, raw, self.form)


class _MatrixPooling(nn.Module):
    """Pyramid pooling with its means as products: ONNX cannot pool 15 rows to 6."""

    def __init__(self, pooling: PyramidPooling, size: tuple[int, int]) -> None:
        super().__init__()
        self.pooling, self.size = pooling, size
        for side in pooling.bins:
            for name, length in zip(('rows', 'columns'), size):
                self.register_buffer(f'{name}{side}', pooling_matrix(length, side))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooling = self.pooling
        maps = [x]
        for side, branch in zip(pooling.bins, pooling.branches):
            pooled = self.get_buffer(f'rows{side}') @ x @ self.get_buffer(f'columns{side}').T
            maps.append(F.interpolate(F.relu(branch(pooled)), size=self.size, mode='bilinear',
                                      align_corners=False))
        return x + F.relu(pooling.norm(pooling.project(torch.cat(maps, dim=1))))


def pooling_matrix(length: int, side: int) -> torch.Tensor:
    """Return [side, length] whose product is ``adaptive_avg_pool`` along one axis."""
    matrix = torch.zeros(side, length)
    for i in range(side):
        first, last = i * length // side, -(-(i + 1) * length // side)
        matrix[i, first:last] = 1.0 / (last - first)
    return matrix
