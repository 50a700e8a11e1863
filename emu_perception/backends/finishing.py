# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
From a network's maps to those of a Prediction: calibration, unknown labels, range, scores.

Tensor operations without a value that the CPU has to know, so that a CUDA graph can hold them; on
a GPU everything goes down in one block of bytes, laid out by the tables of maps and scores.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.backends.base import Finishing
from emu_perception.kernels.resampling import linear_taps, nearest_taps, Taps
from emu_perception.maps import MapRow, MAPS, maps_of
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.prediction import Prediction, UNLABELLED
from emu_perception.scores import measured, scores_of
import numpy as np
import torch

# Bytes before the image in the block that is uploaded: float32 scale, variance factor, largest
# depth, entropy above which a label is unknown.
PARAMETERS = 4
HEADER_BYTES = 4 * PARAMETERS
SCORE_BYTES = 8


def parameters(finishing: Finishing) -> np.ndarray:
    """Return what changes from image to image, float32 [4]."""
    unknown = finishing.unknown_label_entropy
    return np.array([finishing.depth_scale, finishing.variance_factor, finishing.depth_max,
                     math.inf if unknown is None else unknown], np.float32)


def finished(maps: NetworkMaps, depth_scale: torch.Tensor | float,
             variance_factor: torch.Tensor | float, depth_max: torch.Tensor | float,
             unknown_label_entropy: torch.Tensor | float | None,
             ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """
    Return maps at the network's size and scores, both by name.

    :param depth_scale: from the network's depths to this camera's.
    :param variance_factor: likewise, of variances, with their calibration.
    :param depth_max: metres at the network.
    :param unknown_label_entropy: nats; None = off.
    """
    calibrated = maps.calibrated(depth_scale, variance_factor)
    label, depth = maps.label, calibrated.depth
    if label is not None and maps.entropy is not None and unknown_label_entropy is not None:
        # Not label[mask] = x, which may ask the GPU how many there are.
        label = label.masked_fill(maps.entropy > unknown_label_entropy, UNLABELLED)
    if maps.depth is not None and depth is not None:
        depth = in_range(maps.depth, depth_max, depth)
    named = {'label': label, 'segmentation_entropy': maps.entropy, 'confidence': maps.confidence,
             'depth': depth, 'depth_variance': calibrated.depth_variance}
    return ({name: values for name, values in named.items() if values is not None},
            measured(calibrated))


def in_range(depth: torch.Tensor, depth_max: torch.Tensor | float,
             scaled: torch.Tensor) -> torch.Tensor:
    """
    Mark depths the network cannot know: +inf beyond its range, NaN for 0 and not finite.

    :param depth: metres at the network.
    :param scaled: the same depths in this camera's metres, which are returned.
    """
    scaled = torch.where(depth > depth_max, math.inf, scaled)
    return torch.where(depth > 0, scaled, math.nan)


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


def packed(maps: NetworkMaps, values: torch.Tensor, resizing: Resizing) -> torch.Tensor:
    """
    Finish the maps and return them as one block of bytes, to be read by ``unpacked``.

    :param values: ``parameters``, float32 [4] on the maps' device.
    """
    named, scores = finished(maps, *values)
    parts = [torch.stack(list(scores.values()))] + [
        resizing.apply(row, named[row.name]) for row in packed_rows(_tasks_of(maps))]
    return torch.cat([part.contiguous().flatten().view(torch.uint8) for part in parts])


def packed_rows(tasks: tuple[str, ...]) -> list[MapRow]:
    """Return the maps of a block in their order: the wide ones first, so that each is aligned."""
    return sorted(maps_of(tasks), key=lambda row: -np.dtype(row.dtype).itemsize)


def packed_bytes(tasks: tuple[str, ...], size: tuple[int, int]) -> int:
    """Return the length of a packed block."""
    return SCORE_BYTES * len(scores_of(tasks)) + size[0] * size[1] * sum(
        np.dtype(row.dtype).itemsize for row in packed_rows(tasks))


def unpacked(block: np.ndarray, tasks: tuple[str, ...], size: tuple[int, int],
             network_size: tuple[int, int], timing_ms: dict[str, float]) -> Prediction:
    """Return the prediction whose maps are views of the block."""
    names = [score.name for score in scores_of(tasks)]
    at = SCORE_BYTES * len(names)
    scores = dict(zip(names, block[:at].view(np.float64).tolist(), strict=True))
    maps: dict[str, np.ndarray] = {}
    for row in packed_rows(tasks):
        end = at + size[0] * size[1] * np.dtype(row.dtype).itemsize
        maps[row.name] = block[at:end].view(row.dtype).reshape(size)
        at = end
    return Prediction({name: maps[name] for name in MAPS if name in maps}, scores, network_size,
                      timing_ms)


def _tasks_of(maps: NetworkMaps) -> tuple[str, ...]:
    return tuple(task for task, there in ((SEGMENTATION, maps.label), (DEPTH, maps.depth))
                 if there is not None)
