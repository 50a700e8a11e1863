# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How unlike the images of training a picture is, by the maps of the network's encoder.

Squared Mahalanobis distance of the picture's statistics, in the first principal components of the
training images' (Lee et al. 2018, arXiv 1807.03888, with one class). It sees the quality of a
picture and its sensor, not what it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.errors import InputError
import numpy as np

COMPONENTS = 128
# Of each component's variance that is replaced by the mean of all: the smallest are estimated too
# small from a few hundred images, and would count for too much.
SHRINKAGE = 0.1
_SMALLEST_SCALE = 1e-6  # Of a channel that never changes.


@dataclass(frozen=True)
class Familiarity:
    """
    Moments of the training images' statistics, by principal components.

    :ivar count: of the images that it was fitted to.
    :ivar mean: float32 [N].
    :ivar scale: float32 [N], deviation of each number; the rest is of numbers divided by it.
    :ivar components: float32 [K, N], of unit length.
    :ivar variances: float32 [K], along the components, after shrinkage.
    :ivar residual: mean variance of the dimensions beyond the components.
    """

    count: int
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    residual: float

    @property
    def length(self) -> int:
        """Return N: so many of an image's statistics, from the first on, are judged."""
        return len(self.mean)

    def unfamiliarity(self, statistics: np.ndarray) -> np.ndarray:
        """
        Return the distance from the training images, as a multiple of their own.

        :param statistics: [..., M], M at least N.
        :return: float64 [...]: the squared distance, by the number of components; about 1 for an
            image like those of training.
        """
        z = (statistics[..., :self.length] - self.mean) / self.scale
        along = z @ self.components.T
        return (along.astype(np.float64) ** 2 / self.variances).mean(axis=-1)

    def mixed(self, statistics: np.ndarray, share: float) -> Familiarity:
        """
        Return the familiarity of these training images together with others.

        :param statistics: [n, M] of the others.
        :param share: their weight in the mixture, above 0 and below 1.
        :raises InputError: if the share is none, or there are fewer than two others.
        """
        if not 0 < share < 1:
            raise InputError(f'share is {share}: give a weight above 0 and below 1')
        others = _checked(statistics)[:, :self.length]
        offset = (others.mean(axis=0) - self.mean) / self.scale
        deviations = (others - others.mean(axis=0)) / self.scale
        own = (self.components.T * (self.variances - self.residual)) @ self.components
        own[np.diag_indices_from(own)] += self.residual
        covariance = ((1 - share) * own + share * deviations.T @ deviations / len(others)
                      + share * (1 - share) * np.outer(offset, offset))
        return _from_covariance(self.count + len(others), self.mean + share * offset * self.scale,
                                self.scale, covariance, len(self.variances), 0.0)


def fit_familiarity(statistics: np.ndarray, components: int = COMPONENTS,
                    shrinkage: float = SHRINKAGE) -> Familiarity:
    """
    Fit to images that count as familiar.

    :param statistics: [n, N].
    :param components: K at most; never more than the images can tell.
    :param shrinkage: 0 to 1, see ``SHRINKAGE``.
    :raises InputError: for fewer than two images, or a value that is not finite.
    """
    values = _checked(statistics)
    mean = values.mean(axis=0)
    scale = np.maximum(values.std(axis=0), _SMALLEST_SCALE)
    z = (values - mean) / scale
    kept = min(components, len(values) - 1, values.shape[1])
    return _from_covariance(len(values), mean, scale, z.T @ z / len(z), kept, shrinkage)


def _checked(statistics: np.ndarray) -> np.ndarray:
    if statistics.ndim != 2 or len(statistics) < 2:
        raise InputError(f'statistics are {list(statistics.shape)}: a familiarity needs those of '
                         'two images or more, [n, N]')
    if not np.isfinite(statistics).all():
        raise InputError('statistics hold a value that is not finite: the network gives no usable '
                         'output for these images')
    return statistics.astype(np.float64)


def _from_covariance(count: int, mean: np.ndarray, scale: np.ndarray, covariance: np.ndarray,
                     kept: int, shrinkage: float) -> Familiarity:
    values, vectors = np.linalg.eigh(covariance)
    largest = np.maximum(values[::-1][:kept], 1e-12)
    rest = values[::-1][kept:]
    variances = (1 - shrinkage) * largest + shrinkage * largest.mean()
    return Familiarity(count, mean.astype(np.float32), scale.astype(np.float32),
                       np.ascontiguousarray(vectors[:, ::-1][:, :kept].T).astype(np.float32),
                       variances.astype(np.float32),
                       float(max(rest.mean(), 1e-12)) if rest.size else 0.0)
