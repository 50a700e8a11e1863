# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
From a network's maps to those of a Prediction: calibration, unknown labels, range, scores.

Tensor operations without a value that the CPU has to know, so that a CUDA graph can hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.maps import MAPS
from emu_perception.network_maps import NetworkMaps
from emu_perception.prediction import UNLABELLED
from emu_perception.region import Region
from emu_perception.scores import measured
import numpy as np
import torch


@dataclass(frozen=True)
class Factors:
    """
    What changes from image to image, as numbers or, on a GPU, as tensors without a shape.

    :ivar depth_scale: from the network's depths to this camera's.
    :ivar variance_factor: likewise, of variances, with their calibration.
    :ivar depth_max: metres at the network.
    :ivar unknown_label_entropy: nats; None = off.
    """

    depth_scale: torch.Tensor | float
    variance_factor: torch.Tensor | float
    depth_max: torch.Tensor | float
    unknown_label_entropy: torch.Tensor | float | None

    @classmethod
    def of(cls, request: Request, options: BackendOptions) -> Factors:
        """Return the numbers of a request."""
        return cls(request.depth_scale, options.variance_scale * request.depth_scale ** 2,
                   options.depth_max, request.unknown_label_entropy)


def finished(maps: NetworkMaps, factors: Factors, score_region: Region | None = None,
             ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """
    Return maps at the network's size and scores, both by name.

    :param maps: as the network gives them.
    :param score_region: what the scores are measured on; None = the whole image.
    """
    calibrated = maps.calibrated(factors.depth_scale, factors.variance_factor)
    label, depth, limit = maps.label, calibrated.depth, factors.unknown_label_entropy
    if label is not None and maps.entropy is not None and limit is not None:
        # Not label[mask] = x, which may ask the GPU how many there are.
        label = label.masked_fill(maps.entropy > limit, UNLABELLED)
    if maps.depth is not None and depth is not None:
        depth = in_range(maps.depth, factors.depth_max, depth)
    named = {'label': label, 'segmentation_entropy': maps.entropy, 'confidence': maps.confidence,
             'depth': depth, 'depth_variance': calibrated.depth_variance,
             'mutual_information': maps.mutual_information,
             'depth_epistemic_variance': calibrated.depth_epistemic}
    return ({name: values for name, values in named.items() if values is not None},
            measured(calibrated.within(score_region)))


def in_range(depth: torch.Tensor, depth_max: torch.Tensor | float,
             scaled: torch.Tensor) -> torch.Tensor:
    """
    Mark depths the network cannot know: +inf beyond its range, NaN for 0 and not finite.

    :param depth: metres at the network.
    :param scaled: the same depths in this camera's metres, which are returned.
    """
    scaled = torch.where(depth > depth_max, math.inf, scaled)
    return torch.where(depth > 0, scaled, math.nan)


def resized_map(name: str, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a map of the network's size to the size asked for, C-contiguous."""
    if values.shape == size:
        return np.ascontiguousarray(values)
    nearest = getattr(cv2, 'INTER_NEAREST_EXACT', cv2.INTER_NEAREST)
    return cv2.resize(values, size[::-1],
                      interpolation=nearest if MAPS[name].exact else cv2.INTER_LINEAR)
