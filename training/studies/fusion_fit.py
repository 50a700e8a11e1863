# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Fit the constants of the fused uncertainty: g, and the spread of the factor's error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emu_perception.fusion.constants import FusionConstants
import numpy as np

Z90 = 1.6449
DISTANCES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
# Holes that tell of what they hide: what hides there is far, and errors are of another kind.
BY_RANGE = 'beyond_4m'
# And those that real sensors have, at edges and on glass, where errors are largest: they count as
# much as all kinds that are drawn.
REAL = 'sensor'
_SURELY = 0.5  # Of a chance to lie beyond.
_LOWEST, _HIGHEST = 0.02, 3.0
_STEPS = 40


@dataclass(frozen=True)
class Samples:
    """
    Hidden pixels, [n] each.

    :ivar run: of frames; ``kind`` of hole.
    :ivar error: |true - fused| / fused.
    :ivar relative: sigma / depth of the network.
    :ivar distance: to the nearest hint, cells.
    :ivar beyond: the chance of lying beyond the sensor's limit.
    :ivar shared: standard deviation of the factor.
    """

    run: np.ndarray
    kind: np.ndarray
    error: np.ndarray
    relative: np.ndarray
    distance: np.ndarray
    beyond: np.ndarray
    shared: np.ndarray

    def where(self, mask: np.ndarray) -> Samples:
        """Return some of them."""
        return Samples(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def z(self, growth: Sequence[float], beyond: float) -> np.ndarray:
        """Return errors in standard deviations of the fused uncertainty."""
        own = self.relative * np.interp(self.distance, DISTANCES, growth)
        return self.error / np.sqrt(own ** 2 + self.shared ** 2 + (beyond * self.beyond) ** 2)


def fit_growth(samples: Samples, level: float = 0.9) -> tuple[float, ...]:
    """
    Return g at ``DISTANCES``: where 90 % intervals hold 90 %, kind by kind alike, never falling.

    Each pixel counts for the two distances that it lies between; each kind of hole as much as any
    other, and those of real sensors as much as all of these; holes by range are fitted apart
    (:func:`fit_beyond`). Pool-adjacent-violators makes it monotone.
    """
    samples = samples.where((samples.kind != BY_RANGE) & (samples.beyond <= _SURELY))
    kinds, kind = np.unique(samples.kind, return_inverse=True)
    share = (np.where(kinds == REAL, max(len(kinds) - 1, 1), 1.0)
             / np.maximum(np.bincount(kind, minlength=len(kinds)), 1))[kind]
    values, weights = [], []
    for i in range(len(DISTANCES)):
        hat = np.zeros(len(DISTANCES))
        hat[i] = 1.0
        weight = np.interp(samples.distance, DISTANCES, hat) * share
        own = weight > 0
        weights.append(float(weight.sum()))
        values.append(_covering(samples.where(own), weight[own], level) if own.any() else 0.0)
    return _monotone(values, weights)


def fit_beyond(samples: Samples, growth: Sequence[float], level: float = 0.95) -> float:
    """
    Return ``beyond``: with it 90 % intervals of what is seen to lie beyond the limit hold 95 %.

    More than elsewhere, for of the other holes by range, which look near, they hold a third.
    """
    low, high = 0.0, _HIGHEST
    past = samples.where(samples.beyond > _SURELY)
    if not len(past.error):
        return 0.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = ((low, middle) if (past.z(growth, middle) <= Z90).mean() >= level
                     else (middle, high))
    return high


def fit_spread(error: np.ndarray, sigma: np.ndarray, before: float) -> float:
    """
    Return ``factor_spread``: with it 90 % intervals of the factor hold 90 %.

    :param error: |log factor - the true one|, [n]; ``sigma`` as it was with ``before``.
    """
    return before * float(np.quantile(error / sigma, 0.9)) / Z90


def _covering(samples: Samples, weight: np.ndarray, level: float) -> float:
    """Return the g that covers a share of some pixels, by bisection."""
    low, high = _LOWEST, _HIGHEST
    total = weight.sum()
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        held = samples.error <= Z90 * np.hypot(samples.relative * middle, samples.shared)
        low, high = (low, middle) if weight[held].sum() >= level * total else (middle, high)
    return high


def _monotone(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """Return the closest values that never fall (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights):
        pools.append((value, max(weight, 1e-12), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return tuple(value for value, _, count in pools for _ in range(count))


def constants_of(growth: Sequence[float], beyond: float, spread: float, command: str
                 ) -> FusionConstants:
    """Return what the core takes, rounded to what the data say."""
    return FusionConstants(DISTANCES, tuple(round(value, 3) for value in growth),
                           round(beyond, 3), round(spread, 2), command)
