# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
From a network's maps to a Prediction, on a GPU: calibration, range, resizing, one block of bytes.

What ``Predictor`` does with NumPy and OpenCV for backends that go stage by stage, as tensor
operations without a value that the CPU has to know, so that a CUDA graph can hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.backends.base import Finishing, NetworkMaps
from emu_perception.kernels.resampling import linear_taps, nearest_taps, Taps
from emu_perception.prediction import Prediction, UNLABELLED
from emu_perception.uncertainty import mean_uncertainty_tensors
import numpy as np
import torch

# Bytes before the image in the block that is uploaded: float32 scale, variance factor, largest
# depth, entropy above which a label is unknown.
PARAMETERS = 4
HEADER_BYTES = 4 * PARAMETERS
MEANS_BYTES = 2 * 8
_FLOAT_MAPS = ('segmentation_entropy', 'confidence', 'depth', 'depth_variance')


def parameters(finishing: Finishing) -> np.ndarray:
    """Return what changes from image to image, float32 [4]."""
    unknown = finishing.unknown_label_entropy
    return np.array([finishing.depth_scale, finishing.variance_scale * finishing.depth_scale ** 2,
                     finishing.depth_max, math.inf if unknown is None else unknown], np.float32)


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


def in_range(depth: torch.Tensor, depth_max: torch.Tensor | float) -> torch.Tensor:
    """Mark depths the network cannot know: +inf beyond its range, NaN for 0 and not finite."""
    depth = torch.where(depth > depth_max, math.inf, depth)
    return torch.where(depth > 0, depth, math.nan)


def packed(maps: NetworkMaps, values: torch.Tensor, resizing: Resizing) -> torch.Tensor:
    """
    Finish the maps and return them as one block of bytes, to be read by ``unpacked``.

    :param values: ``parameters``, float32 [4] on the maps' device.
    """
    label, entropy = maps.label, maps.entropy
    depth, variance = maps.depth, maps.depth_variance
    if label is not None and entropy is not None:
        # Not label[mask] = x, which may ask the GPU how many there are.
        label = label.masked_fill(entropy > values[3], UNLABELLED)
    if depth is not None and variance is not None:
        depth = in_range(depth, values[2]) * values[0]
        variance = variance * values[1]
    means = [torch.zeros((), dtype=torch.float64, device=values.device) if mean is None else mean
             for mean in mean_uncertainty_tensors(entropy, variance)]
    parts = [torch.stack(means),
             _resized(entropy, resizing.linear), _resized(maps.confidence, resizing.linear),
             # A mean of two depths would be a point in mid-air.
             _resized(depth, resizing.nearest), _resized(variance, resizing.linear),
             _resized(label, resizing.nearest)]
    return torch.cat([part.contiguous().flatten().view(torch.uint8) for part in parts
                      if part is not None])


def packed_bytes(tasks: tuple[bool, bool], size: tuple[int, int]) -> int:
    """
    Return the length of a packed block.

    :param tasks: whether there is segmentation, and depth.
    """
    pixels = size[0] * size[1]
    return MEANS_BYTES + (9 * pixels if tasks[0] else 0) + (8 * pixels if tasks[1] else 0)


def unpacked(block: np.ndarray, tasks: tuple[bool, bool], size: tuple[int, int],
             network_size: tuple[int, int], timing_ms: dict[str, float]) -> Prediction:
    """Return the prediction whose maps are views of the block."""
    pixels = size[0] * size[1]
    means = block[:MEANS_BYTES].view(np.float64)
    at = MEANS_BYTES
    found: dict[str, np.ndarray | None] = {}
    for name, there in zip(_FLOAT_MAPS, (tasks[0], tasks[0], tasks[1], tasks[1])):
        found[name] = block[at:at + 4 * pixels].view(np.float32).reshape(size) if there else None
        at += 4 * pixels if there else 0
    label = block[at:at + pixels].reshape(size) if tasks[0] else None
    return Prediction(
        label=label, **found, network_size=network_size, timing_ms=timing_ms,
        mean_segmentation_entropy=float(means[0]) if tasks[0] else None,
        mean_depth_sigma=float(means[1]) if tasks[1] else None)


def _resized(values: torch.Tensor | None, taps: tuple[Taps, Taps] | None) -> torch.Tensor | None:
    if values is None or taps is None:
        return values
    rows, columns = taps
    return columns.apply(rows.apply(values, 0), 1)
