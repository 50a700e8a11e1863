# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to fill a depth camera's holes without a network: what the fusion has to beat."""

from __future__ import annotations

from collections.abc import Callable

import cv2
from emu_perception.fusion.grid import grid_size, guide_of, to_image
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

# Chosen on val, by the fill's own error: it is to be as good as it can.
_CONTRAST, _STIFFNESS, _LEAK = 60.0, 0.05, 1e-3


def _nearest(depth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Take each pixel's nearest known one."""
    unknown = depth <= 0
    _, number = cv2.distanceTransformWithLabels(unknown.astype(np.uint8), cv2.DIST_L2, 5,
                                                labelType=cv2.DIST_LABEL_PIXEL)
    value = np.zeros(int(number.max()) + 1, np.float32)
    value[number[~unknown]] = depth[~unknown]
    return value[number]


def _on_grid(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean log depth of each cell and the share of it that is known."""
    size = grid_size((depth.shape[0], depth.shape[1]))
    known = (depth > 0).astype(np.float32)
    log = np.log(np.where(depth > 0, depth, 1.0)).astype(np.float32)
    share = cv2.resize(known, size[::-1], interpolation=cv2.INTER_AREA)
    total = cv2.resize(log * known, size[::-1], interpolation=cv2.INTER_AREA)
    return total / np.maximum(share, 1e-6), share


def _inpaint(depth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Inpaint (Telea 2004), as depth cameras' drivers and tools do, on the grid."""
    log, share = _on_grid(depth)
    low, high = float(log[share > 0].min()), float(log[share > 0].max())
    coded = (np.clip((log - low) / max(high - low, 1e-6), 0, 1) * 65535).astype(np.uint16)
    filled = cv2.inpaint(coded, (share <= 0.3).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    log = filled.astype(np.float32) / 65535 * (high - low) + low
    return np.exp(to_image(log, (depth.shape[0], depth.shape[1])))


def _push_pull(depth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Average down until all is known, and fill from there (Gortler et al. 1996)."""
    log, share = _on_grid(depth)
    levels = [(log, share)]
    while min(levels[-1][0].shape) > 1 and not (levels[-1][1] > 0).all():
        value, weight = levels[-1]
        size = ((value.shape[1] + 1) // 2, (value.shape[0] + 1) // 2)
        total = cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        levels.append((total / np.maximum(weight, 1e-9), np.minimum(4.0 * weight, 1.0)))
    filled = levels[-1][0]
    for value, weight in reversed(levels[:-1]):
        above = cv2.resize(filled, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
        weight = np.minimum(weight, 1.0)
        filled = weight * value + (1.0 - weight) * above
    return np.exp(to_image(filled, (depth.shape[0], depth.shape[1])))


def _guided(depth: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Spread log depth along the picture's surfaces: weighted least squares, solved exactly."""
    log, share = _on_grid(depth)
    guide = guide_of(image, (log.shape[0], log.shape[1]))
    weight = (share > 0.3).astype(np.float64)
    number = np.arange(log.size).reshape(log.shape)
    first = np.concatenate((number[:, :-1].ravel(), number[:-1].ravel()))
    second = np.concatenate((number[:, 1:].ravel(), number[1:].ravel()))
    contrast = np.concatenate([np.abs(np.diff(guide, axis=axis)).mean(axis=2).ravel()
                               for axis in (1, 0)])
    links = _STIFFNESS * (np.exp(-_CONTRAST * contrast) + _LEAK)
    graph = sparse.coo_matrix((links, (first, second)), (log.size, log.size))
    graph = graph + graph.T
    system = sparse.diags(np.asarray(graph.sum(1)).ravel() + weight.ravel()) - graph
    filled = spsolve(system.tocsc(), (weight * log).ravel()).reshape(log.shape)
    return np.exp(to_image(filled.astype(np.float32), (depth.shape[0], depth.shape[1])))


# Known depth, float32 [H, W], 0 = unknown, and its image -> depth everywhere.
FILLS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    'nearest': _nearest, 'inpaint': _inpaint, 'push_pull': _push_pull, 'guided': _guided}
