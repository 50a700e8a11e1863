# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Entropies by vectors, that fall where those of the plain formula fall.

``plain_entropy`` takes its logarithms one by one, half the time of an evaluation. By NumPy's they
differ in the last bits, which no figure shows, but which would now and then move a pixel to the
next bin or across the image's own threshold. So the pixels that are that near to an edge of a bin
or to the threshold, one in a hundred, are taken plainly: the counts are the same, one for one.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from .bins import Bins
from .certainty_cells import finite_part, image_threshold
from .probability_runs import Probabilities, Whole

# Each of K additions rounds by this much of the sum, in either way of summing. A term itself is
# off by 3 of it, NumPy's by 9: 4 ulp of the logarithm, and a product.
_ROUNDING = 2.0**-24
# How near to a pixel the mean may come before it is taken plainly. What errors of single pixels
# leave in it is measured, not proven: 3e-9 of it on NYUv2's val, a twentieth of this.
_OF_MEAN = 2.0**-24
# Of fewer pixels single errors show in the mean; there is little to gain anyway.
_FEW = 2**16
_TINY = np.finfo(np.float32).tiny
# Below this that changes an entropy.
_SURE = 1e-25


def plain_entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """
    Return the entropy -sum p·ln p in nats, with 0·ln 0 = 0.

    :param probabilities: [K, ...].
    :return: float32 [...].
    """
    entropy = torch.zeros_like(probabilities[0], dtype=torch.float32)
    # One class at a time stays in the cache, and no second [K, H, W] is made.
    for p in probabilities:
        entropy += torch.special.entr(p.float())
    return entropy


def nearly_entropy(probabilities: np.ndarray, out: np.ndarray, terms: np.ndarray) -> None:
    """
    Write the entropy of float32 [K, N] to ``out`` float32 [N], but for the last bits.

    NumPy adds row after row, as ``plain_entropy`` does.

    :param terms: float32 [K, N] to write over.
    """
    np.add(probabilities, _TINY, out=terms)  # Changes no other than 0 and what is next to it.
    np.log(terms, out=terms)
    np.multiply(terms, probabilities, out=terms)
    np.negative(terms.sum(0, out=out), out=out)


def settled(nearly: torch.Tensor, probabilities: torch.Tensor | Probabilities, bins: Bins,
            ) -> torch.Tensor:
    """
    Return entropies float32 [H, W] that compare as the plain ones do.

    They compare so with the edges of the bins, and with the mean and the median of the image.

    :param nearly: what ``nearly_entropy`` gave, [H, W], which is written over; on another device
        than a CPU what ``plain_entropy`` gave.
    :param probabilities: float32 [K, H, W].
    :param bins: linear, from 0.
    """
    if nearly.device.type != 'cpu':
        return nearly  # Plain as it is.
    if isinstance(probabilities, torch.Tensor):
        probabilities = Whole(probabilities)
    if nearly.numel() < _FEW:
        return _plain(probabilities).view(nearly.shape)
    share = 2.0 * (probabilities.shape[0] + 6) * _ROUNDING
    u = nearly.flatten()
    index = torch.from_numpy(_doubtful(u.numpy(), bins, share).nonzero()[0])
    plain = plain_entropy(probabilities.at(index))
    u.index_copy_(0, index, plain)
    mean = image_threshold(u, 'mean')
    if bool(((plain.double() - mean).abs_() <= _OF_MEAN * mean).any()):
        return _plain(probabilities).view(nearly.shape)
    return u.view(nearly.shape)


def _doubtful(u: np.ndarray, bins: Bins, share: float) -> np.ndarray:
    """Return which entropies [N], right up to that share of each, are to be made plainly."""
    place = u * np.float32(bins.count / (bins.high - bins.low))
    beside = np.abs(place - np.rint(place))
    doubtful = beside <= np.multiply(place, np.float32(share), out=place)
    low, high = float(u.min()), float(u.max())  # NaN if there is any.
    if not (math.isfinite(low) and math.isfinite(high)):
        doubtful |= ~np.isfinite(u)
    if not low >= _SURE:
        doubtful |= (np.abs(u) < _SURE) & (u != 0)
    known = finite_part(torch.from_numpy(u))[0]
    for found in (known.numpy().mean(dtype=np.float64), image_threshold(known, 'median')):
        threshold = np.float32(found)
        # Both the pixel's error and the threshold's, and once more for roundings of this line.
        np.abs(np.subtract(u, threshold, out=beside), out=beside)
        doubtful |= beside <= np.float32(4.0 * share) * threshold
    return doubtful


def _plain(probabilities: Probabilities) -> torch.Tensor:
    """Return the plain entropy of all pixels [N]."""
    return torch.cat([plain_entropy(part) for _, part in probabilities.runs()])
