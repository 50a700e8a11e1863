# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
One block of bytes up to a GPU and one down: the tables of maps and scores say what lies where.

What ``postprocessing`` and OpenCV's resizing do, as tensor operations that a CUDA graph can hold.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.backends.postprocessing import Factors, finished
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.kernels.resampling import linear_taps, nearest_taps, Taps
from emu_perception.maps import MapRow, MAPS, maps_of
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.outputs import EPISTEMIC
from emu_perception.prediction import Prediction
from emu_perception.region import Region
from emu_perception.scores import scores_of
import numpy as np
import torch

# Bytes before the image in the block that is uploaded: ``Factors``, float32.
HEADER_BYTES = 4 * 4
SCORE_BYTES, STATISTIC_BYTES = 8, 4


def header(request: Request, options: BackendOptions) -> np.ndarray:
    """Return what changes from image to image, float32 [4]."""
    factors = Factors.of(request, options)
    unknown = factors.unknown_label_entropy
    return np.array([factors.depth_scale, factors.variance_factor, factors.depth_max,
                     math.inf if unknown is None else unknown], np.float32)


@dataclass(frozen=True)
class Resizing:
    """From the network's size to the size asked for; None where both are the same."""

    linear: tuple[Taps, Taps] | None
    nearest: tuple[Taps, Taps] | None

    @classmethod
    def between(cls, source: tuple[int, int], target: tuple[int, int],
                device: torch.device) -> Resizing:
        """Return the taps on the device."""
        if source == target:
            return cls(None, None)
        (a, b), (c, d) = ((make(source[0], target[0]).to(device),
                           make(source[1], target[1]).to(device))
                          for make in (linear_taps, nearest_taps))
        return cls((a, b), (c, d))

    def apply(self, row: MapRow, values: torch.Tensor) -> torch.Tensor:
        """Resize a map [h, w] of a row."""
        taps = self.nearest if row.exact else self.linear
        if taps is None:
            return values
        rows, columns = taps
        return columns.apply(rows.apply(values, 0), 1)


def packed(maps: NetworkMaps, values: torch.Tensor, resizing: Resizing,
           score_region: Region | None = None) -> torch.Tensor:
    """
    Finish the maps and return them as one block of bytes, to be read by ``unpacked``.

    :param values: ``header``, float32 [4] on the maps' device.
    """
    named, scores = finished(maps, Factors(*values), score_region)
    tasks = tuple(task for task, there in (
        (SEGMENTATION, maps.label), (DEPTH, maps.depth),
        (EPISTEMIC[SEGMENTATION], maps.mutual_information),
        (EPISTEMIC[DEPTH], maps.depth_epistemic)) if there is not None)
    parts = [torch.stack(list(scores.values()))]
    if maps.statistics is not None:
        parts.append(maps.statistics)
    parts += [resizing.apply(row, named[row.name]) for row in packed_rows(tasks)]
    return torch.cat([part.contiguous().flatten().view(torch.uint8) for part in parts])


def packed_rows(tasks: tuple[str, ...]) -> list[MapRow]:
    """Return the maps of a block in their order: the wide ones first, so that each is aligned."""
    return sorted(maps_of(tasks), key=lambda row: -np.dtype(row.dtype).itemsize)


def packed_bytes(tasks: tuple[str, ...], size: tuple[int, int], statistics: int = 0) -> int:
    """
    Return the length of a packed block.

    :param statistics: how many there are.
    """
    return SCORE_BYTES * len(scores_of(tasks)) + STATISTIC_BYTES * statistics + size[0] * size[
        1] * sum(np.dtype(row.dtype).itemsize for row in packed_rows(tasks))


def unpacked(block: np.ndarray, tasks: tuple[str, ...], size: tuple[int, int],
             network_size: tuple[int, int], timing_ms: dict[str, float],
             statistics: int = 0) -> Prediction:
    """
    Return the prediction whose maps are views of the block.

    :param statistics: how many there are; 0 = none.
    """
    names = [score.name for score in scores_of(tasks)]
    at = SCORE_BYTES * len(names)
    scores = dict(zip(names, block[:at].view(np.float64).tolist(), strict=True))
    vector = block[at:at + STATISTIC_BYTES * statistics].view(np.float32) if statistics else None
    at += STATISTIC_BYTES * statistics
    maps: dict[str, np.ndarray] = {}
    for row in packed_rows(tasks):
        end = at + size[0] * size[1] * np.dtype(row.dtype).itemsize
        maps[row.name] = block[at:end].view(row.dtype).reshape(size)
        at = end
    return Prediction({name: maps[name] for name in MAPS if name in maps}, scores, network_size,
                      timing_ms, vector)
