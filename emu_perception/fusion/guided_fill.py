# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Spread known values over an image, along its surfaces and not across its edges.

Weighted least squares (Farbman et al., "Edge-preserving decompositions for multi-scale tone and
detail manipulation", 2008), here with gaps in the data:

    min_r  sum_i m_i (r_i - y_i)² + sum_ij w_ij (r_i - r_j)²,   w_ij = l (exp(-c |I_i - I_j|) + f)

solved from coarse to fine, each level starting from the one above it: a few sweeps at full size
suffice then. Coarse levels join cells as resistors in series across and in parallel along, so that
an edge of the image remains one (as finite volumes upscale a conductivity); averaging the picture
instead would let values leak round every object.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_CONTRAST = 45.0  # c, by mean difference of channels in 0..1: at 0.05 a tenth gets through.
_STIFFNESS = 0.02  # l, against data of weight 1: low, a depth camera is to be believed.
_LEAK = 1e-3  # f: without it a surface that no data touch would be left alone.
_SWEEPS = (8, 16, 32, 64, 64)  # From the finest level on; a coarse one costs a quarter.
LEVELS = len(_SWEEPS)
MULTIPLE = 2 ** (LEVELS - 1)  # Of both sides: every level halves them.
_F = np.float32


@dataclass(frozen=True)
class _Level:
    """One level as a fixed point: r = data + sum over neighbours of share · r."""

    data: np.ndarray
    shares: tuple[np.ndarray, ...]  # of the neighbours right, left, below and above
    loads: np.ndarray
    weights: np.ndarray


def guided_fill(values: np.ndarray, weights: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """
    Return values everywhere, float32 [h, w].

    :param values: float32 [h, w], finite, of any unit; where the weight is 0 they are not read.
    :param weights: float32 [h, w], 0 = unknown; 1 = known, more where better than usual. Where
        all are 0 the answer is 0.
    :param guide: float32 [h, w, 3], 0..1; both sides multiples of ``MULTIPLE``.
    """
    across, along = _conductances(guide)
    loads = values * weights
    levels = []
    for left in range(LEVELS - 1, -1, -1):
        levels.append(_level(loads, weights, across, along))
        if left:
            loads, weights = _sum4(loads), _sum4(weights)
            across, along = _joined(across, along)
    coarsest = levels[-1]
    total = float(coarsest.weights.sum())
    filled: np.ndarray = np.full(coarsest.weights.shape,
                                 float(coarsest.loads.sum()) / total if total else 0.0, _F)
    for level, sweeps in zip(reversed(levels), reversed(_SWEEPS)):
        if filled.shape != level.data.shape:
            filled = cv2.resize(filled, level.data.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = _relaxed(filled, level, sweeps)
    return filled


def _conductances(guide: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return w between columns [h, w - 1] and between rows [h - 1, w]."""
    def of(differences: np.ndarray) -> np.ndarray:
        total = differences[..., 0] + differences[..., 1]
        total += differences[..., 2]
        total *= _F(-_CONTRAST / 3.0)
        result: np.ndarray = cv2.exp(total)
        result += _F(_LEAK)
        result *= _F(_STIFFNESS)
        return result
    return of(np.abs(guide[:, 1:] - guide[:, :-1])), of(np.abs(guide[1:] - guide[:-1]))


def _joined(across: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the conductances between cells of two by two."""
    def series(inner: np.ndarray, face: np.ndarray, axis: int) -> np.ndarray:
        before, behind = (inner[:, :-1], inner[:, 1:]) if axis else (inner[:-1], inner[1:])
        # From centre to centre: half of what is inside each, and the face between.
        return 1.0 / (face + _F(0.5) * (before + behind))
    resistance = 1.0 / across
    columns = series(resistance[:, 0::2], resistance[:, 1::2], 1)
    resistance = 1.0 / along
    rows = series(resistance[0::2], resistance[1::2], 0)
    return columns[0::2] + columns[1::2], rows[:, 0::2] + rows[:, 1::2]


def _sum4(values: np.ndarray) -> np.ndarray:
    rows = values[0::2] + values[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _level(loads: np.ndarray, weights: np.ndarray, across: np.ndarray, along: np.ndarray
           ) -> _Level:
    diagonal = weights.copy()
    diagonal[:, 1:] += across
    diagonal[:, :-1] += across
    diagonal[1:] += along
    diagonal[:-1] += along
    inverse = 1.0 / diagonal
    right, left, below, above = np.zeros((4, *weights.shape), _F)
    np.multiply(across, inverse[:, :-1], out=right[:, :-1])
    np.multiply(across, inverse[:, 1:], out=left[:, 1:])
    np.multiply(along, inverse[:-1], out=below[:-1])
    np.multiply(along, inverse[1:], out=above[1:])
    return _Level(loads * inverse, (right, left, below, above), loads, weights)


def _relaxed(start: np.ndarray, level: _Level, sweeps: int) -> np.ndarray:
    """Return the values after Jacobi's sweeps."""
    height, width = start.shape
    padded = np.zeros((height + 2, width + 2), _F)
    inside = padded[1:-1, 1:-1]
    inside[:] = start
    neighbours = (padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1])
    total, part = np.empty((2, height, width), _F)
    for _ in range(sweeps):
        np.multiply(level.shares[0], neighbours[0], out=total)
        total += level.data
        for share, neighbour in zip(level.shares[1:], neighbours[1:]):
            np.multiply(share, neighbour, out=part)
            total += part
        inside[:] = total
    return inside.copy()
