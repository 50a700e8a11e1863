# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Conformal prediction and risk control where rooms are exchangeable, and the pixels of one are not.

Hierarchical conformal prediction (HCP) of Lee, Barber and Willett, "Distribution-free inference
with hierarchical data" (arXiv 2306.06342), which is the pooling of Dunn, Wasserman and Ramdas,
"Distribution-free prediction sets for two-layer hierarchical models" (JASA 2023), with a finite
sample's promise: a group of N pixels counts as one, each of its pixels by 1 / N.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

# What sums of weights may be off by, each below 1: rounding is no reason for an infinite quantile.
_ROUNDING = 1e-9


def hierarchical_quantile(scores: Sequence[np.ndarray], level: float, *, new_group: bool = True
                          ) -> float:
    """
    Return the threshold that a pixel of a new room stays below with chance ``level`` or more.

    With groups k = 1 .. K of N_k scores s_ki it is the ``level``-quantile (the smallest value at
    which the distribution function reaches it) of

        sum_k sum_i delta(s_ki) / ((K + 1) N_k)  +  delta(infinity) / (K + 1)

    (Lee, Barber and Willett, HCP). If the K + 1 groups, the new one with them, are exchangeable,
    and the new score is of a random member of the new one, then P(score <= threshold) >= level.
    With groups of one it is split conformal prediction's ceil((K + 1) level)-th smallest score.

    :param scores: [N_k] of each group, none empty.
    :param new_group: False leaves infinity out: the quantile of these groups, each counting
        alike, which promises nothing of another.
    :return: infinite where K groups are too few: level > K / (K + 1).
    :raises ValueError: for no group or an empty one, or a level out of 0..1.
    """
    if not scores or any(not len(own) for own in scores):
        raise ValueError('each group needs a score')
    if not 0 < level < 1:
        raise ValueError(f'level is {level}: give a number between 0 and 1')
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(len(own), 1.0 / len(own)) for own in scores])
    order = np.argsort(values, kind='stable')
    reached = np.cumsum(weights[order])
    needed = level * (len(scores) + new_group)
    at = int(np.searchsorted(reached, needed - _ROUNDING * len(scores)))
    return float(values[order][at]) if at < len(values) else math.inf


def controlled(losses: np.ndarray, parameters: np.ndarray, rate: float) -> float | None:
    """
    Return the most permissive parameter that keeps the expected loss of a new room at ``rate``.

    Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster, ICLR 2024, theorem 1):
    with losses of n exchangeable units in 0..1 that only fall along lambda,

        lambda = inf { l : n / (n + 1) mean_i L_i(l) + 1 / (n + 1) <= rate }

    gives E[L_(n+1)(lambda)] <= rate. A unit is a room. Losses that rise here and there are
    replaced by the largest of what follows, which bounds them and only falls.

    :param losses: [n, m], of each unit at each parameter, the strictest last.
    :param parameters: [m].
    :return: None where no parameter does, as for n < 1 / rate - 1.
    """
    falling = np.maximum.accumulate(losses[:, ::-1], axis=1)[:, ::-1]
    units = len(losses)
    bound = (falling.sum(0) + 1.0) / (units + 1)
    fits = np.flatnonzero(bound <= rate + _ROUNDING)
    return float(parameters[fits[0]]) if len(fits) else None
