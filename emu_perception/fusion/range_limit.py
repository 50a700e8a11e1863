# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a hole says by itself: a depth camera sees nothing beyond its range.

Where nearer surfaces are seen nearly everywhere, a hole predicted near the farthest that is seen
is probably beyond it. By Bayes, with R the limit, h the share of holes among what is clearly
nearer, and log d Gaussian:

    P(beyond | hole) = Q / (Q + h (1 - Q)),   Q = P(d > R)

and the mean of log d of each half is that of a truncated Gaussian. That R is a limit of the
sensor, and not just the farthest wall, is the less likely the more holes there are among what is
clearly nearer. A depth is moved only where what is predicted beyond R is seldom seen too; doubt
needs no such proof: where little is predicted beyond R, or little nearer, nothing speaks against
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_LIMIT_SHARE = 0.995  # Of the depths seen: the farthest few may be outliers.
_CLEARLY = 2.0  # Standard deviations nearer than the limit.
# As log, beside the sigma that is given: of what is far the network says less than there is.
_SHORT = 0.1
_LOWEST_SHARE = 0.02  # Of holes: glass and black there always are.
_FEWEST = 200  # Cells clearly nearer, for a share of them.
# At such a share of holes nothing is believed; cameras at their limit had .00 to .08, scenes that
# something else covers .07 and more. And of what is predicted beyond the limit, hidden: from here
# on it is one, and there it surely is.
_BELIEVED = (0.12, 0.5, 0.75)
# Doubted is sooner than believed: a sigma that is too large costs less than a depth moved wrongly.
_DOUBTED = 0.3
_F = np.float32


@dataclass(frozen=True)
class Beyond:
    """
    What a limit of the sensor says of its holes.

    :ivar shift: float32 [h, w], what their log depths are to be moved by.
    :ivar chance: float32 [h, w], that a hole lies beyond the limit, 0..1, by how likely it is one.
    """

    shift: np.ndarray
    chance: np.ndarray


def beyond_limit(log_depth: np.ndarray, log_sigma: np.ndarray, known: np.ndarray,
                 seen: np.ndarray) -> Beyond | None:
    """
    Return what the limit says of the holes; None where too much else is hidden.

    :param log_depth: float32 [h, w], of the corrected network.
    :param log_sigma: its standard deviation.
    :param known: bool [h, w], where the sensor sees.
    :param seen: the log depths it sees, [n].
    """
    rank = min(int(_LIMIT_SHARE * len(seen)), len(seen) - 1)
    limit = float(np.partition(seen, rank)[rank])
    log_sigma = np.sqrt(log_sigma * log_sigma + _F(_SHORT ** 2))
    alpha = (_F(limit) - log_depth) / log_sigma
    nearer = alpha > _CLEARLY
    count = int(nearer.sum())
    told = count >= _FEWEST
    share = 1.0 - float((known & nearer).sum()) / count if told else 0.0
    doubt = max(1.0 - share / _DOUBTED, 0.0)
    if not doubt:
        return None
    past = alpha < 0
    hidden = 1.0 - float((known & past).sum()) / max(int(past.sum()), 1)
    trust = _trust(share, hidden, *_BELIEVED) if told and past.any() else 0.0
    share = max(share, _LOWEST_SHARE)
    np.clip(alpha, -6.0, 6.0, out=alpha)
    density = cv2.exp(alpha * alpha * _F(-0.5)) * _F(0.39894228)
    beyond = _upper_tail(alpha, density)
    nearer_mass = 1.0 - beyond
    weight = beyond / (beyond + _F(share) * nearer_mass)
    # Means of the halves, above and below, in standard deviations.
    shift = density * (weight / beyond - (1.0 - weight) / np.maximum(nearer_mass, _F(1e-9)))
    holes = (~known).astype(_F)
    return Beyond(_F(trust) * holes * shift * log_sigma, _F(doubt) * holes * weight)


def _trust(share: float, hidden: float, highest: float, some: float, surely: float) -> float:
    """Return how much a limit is believed in, 0..1, by two shares of holes: nearer and beyond."""
    return (min(max(1.0 - share / highest, 0.0), 1.0)
            * min(max((hidden - some) / (surely - some), 0.0), 1.0))


def _upper_tail(alpha: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Return 1 - Phi(alpha), to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1.0 / (1.0 + _F(0.2316419) * np.abs(alpha))
    tail = density * t * (_F(0.319381530) + t * (_F(-0.356563782) + t * (
        _F(1.781477937) + t * (_F(-1.821255978) + t * _F(1.330274429)))))
    return np.where(alpha < 0, 1.0 - tail, tail)
