# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How wrong a picture's maps are, on the network's grid, and from where on that is bad."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from emu_perception.network_maps import NetworkMaps
import numpy as np

from ..data.dataset_folder import Example, IGNORE

# A picture of more error than this is a bad one.
BAD_ABS_REL, BAD_PIXEL_ACCURACY = 0.3, 0.45


@dataclass(frozen=True)
class Truth:
    """
    A picture's truth on the network's grid; None where there is none.

    :ivar label: uint8 [h, w], 255 = unlabelled.
    :ivar depth: float32 [h, w], metres, 0 = unknown.
    """

    label: np.ndarray | None
    depth: np.ndarray | None


def truth_at(example: Example, size: tuple[int, int]) -> Truth:
    """Return an example's truth at (height, width), the nearest value of each pixel."""
    def at(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else cv2.resize(values, size[::-1],
                                                      interpolation=cv2.INTER_NEAREST_EXACT)
    return Truth(at(example.label), at(example.depth))


def errors(maps: NetworkMaps, truth: Truth) -> tuple[float, float]:
    """Return abs rel of the depth and accuracy of the labels of a picture; NaN = not known."""
    abs_rel = accuracy = math.nan
    if maps.depth is not None and truth.depth is not None and (truth.depth > 0).any():
        known = truth.depth > 0
        off = np.abs(maps.depth.cpu().numpy()[known] - truth.depth[known])
        abs_rel = float((off / truth.depth[known]).mean())
    if maps.label is not None and truth.label is not None and (truth.label != IGNORE).any():
        labelled = truth.label != IGNORE
        accuracy = float((maps.label.cpu().numpy() == truth.label)[labelled].mean())
    return abs_rel, accuracy


def badness(abs_rel: np.ndarray, pixel_accuracy: np.ndarray) -> np.ndarray:
    """
    Return the error of pictures as a multiple of what still counts as good: above 1 is bad.

    The larger of both tasks' errors, each divided by its limit; NaN where neither is known.
    """
    return np.fmax(abs_rel / BAD_ABS_REL, (1.0 - pixel_accuracy) / (1.0 - BAD_PIXEL_ACCURACY))
