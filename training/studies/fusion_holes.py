# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Holes in true depth, as depth cameras have them or as they show what a fill can do."""

from __future__ import annotations

from collections.abc import Callable, Collection

import cv2
import numpy as np

from ..data.dataset_folder import Example

# Of a blob, as a share of the image's width: 32 pixels of VGA.
_BLOB = 0.05
_FAR_M = 4.0
# What a stereo or structured-light camera does not see.
_UNSEEN_CLASSES = ('window', 'mirror', 'television')
_DARK = 22.0  # Of 255.
_GRAZING_DEG = 80.0
_JUMP = 0.08  # Of the distance, from a pixel to the next: an edge.
_SHADOW = 0.0125  # Of the width, beside such an edge.
# RealSense-like: metres of standard deviation at one metre, growing with the square.
NOISE_PER_M = 0.0025
OUTLIERS = 0.05


def _blobs(share: float) -> Callable[[Example, Collection[str], np.random.Generator], np.ndarray]:
    def hidden(example: Example, _: Collection[str], rng: np.random.Generator) -> np.ndarray:
        height, width = example.image.shape[:2]
        small = rng.standard_normal((height // 4 + 1, width // 4 + 1)).astype(np.float32)
        smooth = cv2.GaussianBlur(small, (0, 0), _BLOB * width / 4.0)
        noise = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC)
        return noise > np.quantile(noise, 1.0 - share)
    return hidden


def _half(example: Example, _: Collection[str], rng: np.random.Generator) -> np.ndarray:
    height, width = example.image.shape[:2]
    hidden = np.zeros((height, width), bool)
    side = int(rng.integers(4))
    if side < 2:
        hidden[:, width // 2:] = True
    else:
        hidden[height // 2:] = True
    return hidden if side % 2 else ~hidden


def _box(example: Example, _: Collection[str], rng: np.random.Generator) -> np.ndarray:
    height, width = example.image.shape[:2]
    rows, columns = (int(side * rng.uniform(0.3, 0.6)) for side in (height, width))
    top, left = int(rng.integers(height - rows)), int(rng.integers(width - columns))
    hidden = np.zeros((height, width), bool)
    hidden[top:top + rows, left:left + columns] = True
    return hidden


def _far(example: Example, _: Collection[str], rng: np.random.Generator) -> np.ndarray:
    assert example.depth is not None
    return example.depth > _FAR_M


def _sensor(example: Example, classes: Collection[str], rng: np.random.Generator) -> np.ndarray:
    """Windows, mirrors, screens; shadows beside edges; what is dark or seen at a grazing angle."""
    depth = example.depth
    assert depth is not None
    width = depth.shape[1]
    hidden = np.zeros(depth.shape, bool)
    names = list(classes)
    if example.label is not None:
        unseen = [names.index(name) for name in _UNSEEN_CLASSES if name in names]
        hidden |= np.isin(example.label, unseen)
    brightness = cv2.GaussianBlur(cv2.cvtColor(example.image, cv2.COLOR_RGB2GRAY), (0, 0), 2.0)
    hidden |= brightness < _DARK
    smooth = cv2.GaussianBlur(depth, (0, 0), 2.0)
    # Beside a step to the right the second camera is covered by what stands in front.
    step = np.abs(np.diff(depth, axis=1, append=depth[:, -1:])) > _JUMP * depth
    reach = max(int(_SHADOW * width), 1)
    hidden |= cv2.dilate(step.astype(np.uint8), np.ones((3, reach), np.uint8)) > 0
    # A plane's normal from the slopes of depth; at a focal length of about a width.
    slope_x, slope_y = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) / 8.0
                        for order in ((1, 0), (0, 1)))
    steep = np.hypot(slope_x, slope_y) * 0.8 * width / np.maximum(smooth, 1e-3)
    hidden |= steep > np.tan(np.deg2rad(_GRAZING_DEG))
    return hidden


HOLES: dict[str, Callable[[Example, Collection[str], np.random.Generator], np.ndarray]] = {
    'blobs_30': _blobs(0.30), 'blobs_78': _blobs(0.78), 'blobs_95': _blobs(0.95), 'half': _half,
    'box': _box, 'beyond_4m': _far, 'sensor': _sensor}


def as_sensed(depth: np.ndarray, rng: np.random.Generator, outliers: float = OUTLIERS
              ) -> np.ndarray:
    """
    Return depths with a stereo camera's noise and one outlier in twenty, float32 metres.

    :param depth: 0 where nothing is seen.
    :param outliers: share of pixels that are anywhere.
    """
    noisy = depth + rng.standard_normal(depth.shape) * NOISE_PER_M * depth * depth
    wrong = rng.random(depth.shape) < outliers
    noisy[wrong] = rng.uniform(0.3, 8.0, int(wrong.sum()))
    return np.where(depth > 0, np.maximum(noisy, 0.05), 0.0).astype(np.float32)
