# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Fit the constants of the fused uncertainty: its own part of a pixel, and the factor's spread.

    sigma² = a² (g(r)² + (k_b P)²) + (k_d D)² + shared²       (``emu_perception.fusion.constants``)

By quantile regression (Koenker and Bassett 1978), and such that 90 % intervals hold 90 % in every
kind of hole and at every distance, not only on average:

    min  mean pinball((e - 1.645 sigma) / a) + L sum_G (coverage of G - .9)²,   G: kinds, distances

What explains the error was looked for among what a robot has beside the distance: how far the
filled depth lies outside those of the hints nearby and of the image, how rough depth and hints
are, picture, noise. The dissent D of the hints does most: at equal distance errors grow threefold
with it, and where it is part of sigma g falls to a third beside a hint, where scattered holes were
told too uncertain. P does the rest: of what lies beyond the sensor's range errors grow with a, and
a sixth of it is predicted just within that range, where no proof of a limit is to be had.
"""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.fusion.constants import FusionConstants
from emu_perception.normal_distribution import Z90
import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

DISTANCES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
# Of distances, cells: in each of them the intervals are to hold.
BINS = ((0.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0), (16.0, 32.0), (32.0, np.inf))
_LEVEL = 0.9
_BALANCE = 10.0  # L.
_SOFT = 0.005  # Of errors in a: over it corner and step are rounded off, for a gradient.
_DRAWN = 60_000
# Of g: what the network says of a pixel is never ignored, however near a hint is.
_LEAST_GROWTH = 0.05
_LOWEST, _HIGHEST = 1e-3, 5.0


@dataclass(frozen=True)
class Samples:
    """
    Hidden pixels, [n] each.

    :ivar run: of frames; ``kind`` of hole.
    :ivar error: |true - fused| / fused.
    :ivar relative: sigma / depth of the network.
    :ivar distance: to the nearest hint, cells.
    :ivar beyond: the chance of lying beyond the sensor's limit.
    :ivar dissent: of the hints, as log.
    :ivar shared: standard deviation of the factor.
    """

    run: np.ndarray
    kind: np.ndarray
    error: np.ndarray
    relative: np.ndarray
    distance: np.ndarray
    beyond: np.ndarray
    dissent: np.ndarray
    shared: np.ndarray

    def where(self, mask: np.ndarray) -> Samples:
        """Return some of them, by a mask or by their numbers."""
        return Samples(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def z(self, constants: PixelConstants) -> np.ndarray:
        """Return errors in standard deviations of the fused uncertainty."""
        own = np.interp(self.distance, DISTANCES, constants.growth)
        of_network = self.relative ** 2 * (own ** 2 + (constants.beyond * self.beyond) ** 2)
        return self.error / np.sqrt(of_network + (constants.dissent * self.dissent) ** 2
                                    + self.shared ** 2)


@dataclass(frozen=True)
class PixelConstants:
    """Constants of a pixel's own error: ``growth`` at ``DISTANCES``, ``beyond``, ``dissent``."""

    growth: tuple[float, ...]
    beyond: float
    dissent: float


def fit_pixels(samples: Samples) -> PixelConstants:
    """
    Return the constants with which 90 % intervals hold 90 %, kind by kind and far and near alike.

    Fitted to ``_DRAWN`` pixels, as many of each kind of hole; g never falls. A term that never
    occurs is 0.
    """
    kinds, kind = np.unique(samples.kind, return_inverse=True)
    share = (1.0 / np.bincount(kind, minlength=len(kinds)))[kind]
    drawn = np.random.default_rng(0).choice(len(kind), _DRAWN, p=share / share.sum())
    samples, kind = samples.where(drawn), kind[drawn]
    terms = {'beyond': samples.relative * samples.beyond, 'dissent': samples.dissent}
    used = [name for name in terms if terms[name].any()]
    problem = _Problem(samples, kind, np.stack([terms[name] for name in used], 1)
                       if used else np.zeros((_DRAWN, 0)))
    start = np.log([0.15, 0.05, 0.05, 0.05, 0.1, 0.15, 0.15] + [0.5] * len(used))
    bounds = np.log([(_LEAST_GROWTH, _HIGHEST)] + [(_LOWEST, _HIGHEST)] * (len(start) - 1))
    found = minimize(problem, start, jac=True, method='L-BFGS-B', bounds=bounds,
                     options={'maxiter': 200}).x
    values = np.exp(found)
    factors = dict(zip(used, values[len(DISTANCES):].tolist()))
    return PixelConstants(tuple(np.cumsum(values[:len(DISTANCES)]).tolist()),
                          factors.get('beyond', 0.0), factors.get('dissent', 0.0))


class _Problem:
    """What is minimised, of the logarithms of g's steps and of k_b and k_d; with its gradient."""

    def __init__(self, samples: Samples, kind: np.ndarray, terms: np.ndarray) -> None:
        """
        Take pixels [n], numbers of their kinds, and the terms beside g, [n, k].

        Each term counts by its square, as g times ``relative`` does.
        """
        self._samples, self._terms = samples, terms ** 2
        self._hats = np.stack([np.interp(samples.distance, DISTANCES, hat)
                               for hat in np.eye(len(DISTANCES))], 1)
        groups = [kind == number for number in np.unique(kind)]
        groups += [(samples.distance >= low) & (samples.distance < high) for low, high in BINS]
        member = np.stack([group for group in groups if group.any()], 1).astype(np.float64)
        self._member = member / member.sum(axis=0)

    def __call__(self, logs: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the value and its gradient."""
        steps, factors = np.split(np.exp(logs), [len(DISTANCES)])
        samples = self._samples
        own = self._hats @ np.cumsum(steps)
        sigma = np.sqrt((own * samples.relative) ** 2 + samples.shared ** 2
                        + self._terms @ factors ** 2)
        off = (samples.error - Z90 * sigma) / samples.relative
        held = expit(-off / _SOFT)
        uneven = self._member.T @ held - _LEVEL
        value = (_LEVEL * off + _SOFT * np.logaddexp(0.0, -off / _SOFT)).mean()
        by_off = (_LEVEL - held) / len(off)
        by_off -= _BALANCE * (self._member @ (2.0 * uneven)) * held * (1.0 - held) / _SOFT
        by_variance = -by_off * Z90 / (2.0 * sigma * samples.relative)
        by_growth = self._hats.T @ (by_variance * 2.0 * own * samples.relative ** 2)
        by_step = np.cumsum(by_growth[::-1])[::-1]
        by_factor = 2.0 * factors * (self._terms.T @ by_variance)
        return (float(value + _BALANCE * np.sum(uneven ** 2)),
                np.concatenate((by_step * steps, by_factor * factors)))


def fit_spread(error: np.ndarray, sigma: np.ndarray, before: float) -> float:
    """
    Return ``factor_spread``: with it 90 % intervals of the factor hold 90 %.

    :param error: |log factor - the true one|, [n]; ``sigma`` as it was with ``before``.
    """
    return before * float(np.quantile(error / sigma, _LEVEL)) / Z90


def constants_of(pixels: PixelConstants, spread: float) -> FusionConstants:
    """Return what the core takes, rounded to what the data say."""
    return FusionConstants(DISTANCES, tuple(round(value, 3) for value in pixels.growth),
                           round(pixels.beyond, 3), round(pixels.dissent, 3), round(spread, 2))
