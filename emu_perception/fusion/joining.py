# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network's depth and a depth camera's, joined: each where it is the better one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.constants import FITTED, FusionConstants
from emu_perception.fusion.contradiction import (
    contradicted,
    Contradiction,
    COUNT,
    NEARER,
    OFF,
    wrong_pixels,
)
from emu_perception.fusion.factor import FactorReading, OUTLIER, read_factor
from emu_perception.fusion.grid import grid_hint, grid_size, guide_of, to_image
from emu_perception.fusion.guided_fill import guided_fill
from emu_perception.fusion.hint import DepthHint
from emu_perception.fusion.range_limit import beyond_limit
import numpy as np

# Where a pixel's depth is from.
NETWORK, CORRECTED, SENSOR, UNKNOWN = 0, 1, 2, 255
_F = np.float32
_BAND = 32  # Rows that fit a core's cache.
_LEAST_SIGMA = 1e-3  # Relative: a network that is sure of everything divides nothing by 0.
# Of the log factor of a hint that sees too little for one.
_FEW_SIGMA = 0.3
# Cells from a hint at which a limit of the sensor is judged by all of the network's sigma; nearer
# by less, as of a random walk. By no constant that is fitted: these are fitted to what it finds.
_WALK = 64.0


@dataclass(frozen=True)
class Compared:
    """
    The cells that both see, [n].

    :ivar log_ratio: log(sensor / network).
    :ivar relative: sigma / depth of the network.
    """

    log_ratio: np.ndarray
    relative: np.ndarray


@dataclass(frozen=True)
class Correction:
    """
    What a hint says of the network's depth; maps are of the grid, float32 [h, w].

    :ivar log_factor: from the network's metres to the corrected ones.
    :ivar relative: sigma / depth of the network.
    :ivar distance: cells to the nearest hint.
    :ivar beyond: the chance that a cell lies beyond the sensor's limit.
    :ivar dissent: |what is filled in - what the nearest hint says|, as log.
    :ivar log_sigma: standard deviation of the corrected log depth.
    :ivar compared: network and sensor, before anything is corrected.
    :ivar contradiction: of the sensor's cells; None where there is none or nobody asked.
    """

    log_factor: np.ndarray
    relative: np.ndarray
    distance: np.ndarray
    beyond: np.ndarray
    dissent: np.ndarray
    log_sigma: np.ndarray
    belief: ScaleBelief
    reading: FactorReading
    compared: Compared
    contradiction: Contradiction | None = None


@dataclass(frozen=True)
class Fused:
    """
    One image's joined depth.

    :ivar depth: float32 [H, W], metres; NaN where nothing is known, +inf beyond all ranges.
    :ivar variance: float32 [H, W], m²: the total, with the part that all pixels share.
    :ivar source: uint8 [H, W]: ``NETWORK``, ``CORRECTED``, ``SENSOR``, ``UNKNOWN``.
    :ivar belief: in the factor, with this image's reading.
    :ivar reading: of this image, be it refused; None where it had no hint that says anything.
    :ivar contradicted: pixels of the sensor that network and neighbours contradict; 0 where
        nobody asked.
    :ivar refused: whether the hint is of an implausible scale, and nothing of it was taken.
    :ivar correction: on the grid; None where ``reading`` is, or is of too few pixels.
    """

    depth: np.ndarray
    variance: np.ndarray
    source: np.ndarray
    belief: ScaleBelief
    reading: FactorReading | None
    contradicted: int = 0
    refused: bool = False
    correction: Correction | None = None


def fuse(image: np.ndarray, depth: np.ndarray, variance: np.ndarray, hint: DepthHint | None,
         belief: ScaleBelief, constants: FusionConstants = FITTED, contradictions: str = OFF,
         any_scale: bool = False) -> Fused:
    """
    Join the depths of one image.

    :param image: uint8 [H, W, 3], of any size: the local correction follows its edges.
    :param depth: float32 [h, w], the network's metres; NaN, +inf as in a Prediction.
    :param variance: m², of the network.
    :param hint: what the depth camera saw of this image; None = nothing. Of any size.
    :param belief: in the factor before this image.
    :param contradictions: what becomes of sensor pixels that network and neighbours contradict, of
        ``contradiction.POLICIES``: 'off' looks for none, 'count' counts them, 'nan' makes them
        unknown, 'nearer' takes what is nearer.
    :param any_scale: take a hint whose factor is no camera's too.
    """
    if hint is None:
        return _scaled(depth, variance, belief)
    shape = (depth.shape[0], depth.shape[1])
    found = correct(image, depth, variance, hint, belief, constants, contradictions)
    if found is None:
        hint = hint.at(shape)
        few = None if any_scale else _too_far(depth, hint, belief)
        if few is not None:
            return replace(_scaled(depth, variance, belief), reading=few, refused=True)
        result = _with_sensor(_scaled(depth, variance, belief), hint)
        return result if contradictions == OFF else _mended(result, hint, depth, None,
                                                            contradictions)
    if not any_scale and not belief.plausible(found.reading):
        return replace(_scaled(depth, variance, belief), reading=found.reading, correction=found,
                       refused=True)
    # In place from here on: a map of VGA costs more to allocate than to compute.
    fused = to_image(cv2.exp(found.log_factor), shape)
    fused *= depth
    total = to_image(found.log_sigma, shape)
    total *= fused
    total *= total
    source = np.full(shape, CORRECTED, np.uint8)
    far = found.distance > constants.reach
    if far.any():
        source[to_image(far.astype(_F), shape) > 0.5] = NETWORK
    _mend_unknown(fused, total, source, variance)
    hint = hint.at(shape)
    result = _with_sensor(Fused(fused, total, source, found.belief, found.reading,
                                correction=found), hint)
    return result if contradictions == OFF else _mended(result, hint, depth, found, contradictions)


def correct(image: np.ndarray, depth: np.ndarray, variance: np.ndarray, hint: DepthHint,
            belief: ScaleBelief, constants: FusionConstants = FITTED, contradictions: str = OFF
            ) -> Correction | None:
    """Return what a hint says of an image; None where it sees too little. As :func:`fuse`."""
    size = grid_size((depth.shape[0], depth.shape[1]))
    small, usable, relative = _on_grid(depth, variance, size)
    seen = grid_hint(hint.depth, size)
    known = seen.known & usable
    log_depth = np.log(np.where(usable, small, _F(1.0)))
    log_seen = np.log(np.where(known, seen.depth, _F(1.0)))
    ratio = log_seen - log_depth
    compared = Compared(ratio[known], relative[known])
    far = np.zeros_like(known)
    if known.any():
        off = ratio - np.median(ratio[known])
        far = known & (off >= OUTLIER)
        known &= np.abs(off) < OUTLIER
    reading = read_factor(ratio, known, constants.factor_spread)
    if reading is None:
        return None
    guide = guide_of(image, size)
    against = None if contradictions == OFF else contradicted(ratio, known, far, relative,
                                                              reading.log_factor, guide)
    if against is not None and contradictions != COUNT:
        known &= ~against.cells
        reading = read_factor(ratio, known, constants.factor_spread) or reading
    belief = belief.updated(reading)
    middle = _F(reading.log_factor)
    log_factor = guided_fill(ratio - middle, known.astype(_F), guide)
    log_factor += middle
    distance, nearest = _nearest(ratio, known)
    walked = relative * np.sqrt(np.minimum(distance, _F(_WALK)) * _F(1.0 / _WALK))
    walked *= walked
    walked += _F(belief.sigma ** 2)
    limit = beyond_limit(log_depth + log_factor, np.sqrt(walked), known, log_seen[known])
    beyond = np.zeros(size, _F) if limit is None else limit.chance
    if limit is not None:
        log_factor += limit.shift
    dissent = np.abs(log_factor - nearest)
    log_sigma = _log_sigma(relative, distance, beyond, dissent, belief.sigma, constants)
    return Correction(log_factor, relative, distance, beyond, dissent, log_sigma, belief, reading,
                      compared, against)


def _too_far(depth: np.ndarray, hint: DepthHint, belief: ScaleBelief) -> FactorReading | None:
    """
    Return what pixels too few for a factor say, where they lie farther than any camera's would.

    Mostly they are of other units. Nearer ones say nothing of that: what stands right before the
    camera may be all that it sees.
    """
    both = hint.known & np.isfinite(depth) & (depth > 0)
    if not both.any():
        return None
    reading = FactorReading(float(np.median(np.log(hint.depth[both] / depth[both]))), _FEW_SIGMA)
    return None if reading.log_factor <= 0 or belief.plausible(reading) else reading


def _nearest(ratio: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each cell's distance to the nearest hint, cells, and the log ratio of that hint."""
    distance, number = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_hint = np.zeros(int(number.max()) + 1, _F)
    of_hint[number[known]] = ratio[known]
    return distance, of_hint[number]


def _log_sigma(relative: np.ndarray, distance: np.ndarray, beyond: np.ndarray,
               dissent: np.ndarray, shared: float, constants: FusionConstants) -> np.ndarray:
    """Return the standard deviation of log depth, float32 [h, w], see ``constants``."""
    growth = np.interp(distance, constants.distances, constants.growth).astype(_F)
    growth *= growth
    growth += (_F(constants.beyond) * beyond) ** 2
    growth *= relative
    growth *= relative
    growth += (_F(constants.dissent) * dissent) ** 2
    growth += _F(shared ** 2)
    return np.sqrt(growth)


def _on_grid(depth: np.ndarray, variance: np.ndarray, size: tuple[int, int]
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the network's depth, where it is one, and its relative sigma, on the grid."""
    small = cv2.resize(depth, size[::-1], interpolation=cv2.INTER_NEAREST)
    spread = cv2.resize(variance, size[::-1], interpolation=cv2.INTER_NEAREST)
    usable = np.isfinite(small) & (small > 0)
    relative = np.sqrt(spread) / np.where(usable, small, _F(1.0))
    # fmax: a sigma that is NaN is one that says nothing, and the depth there is none.
    return small, usable, np.fmax(relative, _F(_LEAST_SIGMA))


def _scaled(depth: np.ndarray, variance: np.ndarray, belief: ScaleBelief) -> Fused:
    """Return the network's depth by the factor that is held, and no more certain than it was."""
    factor = _F(belief.factor)
    fused = depth * factor
    total = variance * (factor * factor)
    finite = np.isfinite(fused)
    np.add(total, (fused * _F(belief.sigma)) ** 2, out=total, where=finite)
    source = np.zeros(depth.shape, np.uint8)
    source[np.isnan(fused)] = UNKNOWN
    return Fused(fused, total, source, belief, None)


def _mend_unknown(fused: np.ndarray, total: np.ndarray, source: np.ndarray,
                  variance: np.ndarray) -> None:
    """Keep the network's variance where it gives no depth to multiply."""
    if not np.isfinite(variance.sum()):
        np.copyto(total, variance, where=~np.isfinite(variance))
    if not np.isfinite(fused.sum()):
        none = ~np.isfinite(fused)
        total[none] = variance[none]
        source[none] = np.where(np.isnan(fused[none]), UNKNOWN, NETWORK)


def _mended(fused: Fused, hint: DepthHint, depth: np.ndarray, found: Correction | None,
            policy: str) -> Fused:
    """Replace what is contradicted by what is nearer, or by nothing; count it."""
    wrong, nearer = wrong_pixels(hint.depth, depth, found.contradiction if found else None)
    if policy == NEARER:
        shape = (wrong.shape[0], wrong.shape[1])
        relative = (to_image(found.log_sigma, shape) if found
                    else np.full(shape, fused.belief.sigma, _F))
        fused.depth[wrong] = nearer[wrong]
        fused.variance[wrong] = (nearer[wrong] * relative[wrong]) ** 2
        fused.source[wrong] = CORRECTED
    elif policy != COUNT:
        np.copyto(fused.depth, _F(np.nan), where=wrong)
        np.copyto(fused.source, np.uint8(UNKNOWN), where=wrong)
    return replace(fused, contradicted=int(wrong.sum()))


def _with_sensor(fused: Fused, hint: DepthHint) -> Fused:
    """Let the sensor's pixels through, as they are."""
    for top in range(0, len(fused.depth), _BAND):
        rows = slice(top, top + _BAND)
        part = hint.rows(rows)
        known = part.known
        np.copyto(fused.depth[rows], part.depth, where=known)
        np.copyto(fused.variance[rows], part.variance, where=known)
        np.copyto(fused.source[rows], np.uint8(SENSOR), where=known)
    return fused
