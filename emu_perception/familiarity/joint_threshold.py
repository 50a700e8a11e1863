# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Thresholds of several scores at once, so that together they raise a stated share of alarms.

Each score alone at its own 95th percentile would raise up to 5 % more false alarms than the last.
"""

from __future__ import annotations

from collections.abc import Mapping

from emu_perception.errors import InputError
import numpy as np

# How far above its own percentile a score raises, before all are scaled together. Predicted
# failure holds what the others know of the error; they stand behind it for what it was not fitted
# to. Unfamiliarity alone is touchier than the network, the more so the better that has learned to
# see through bad pictures: noise that costs it nothing reaches twice the percentile, pictures that
# are no rooms more than three times.
SLACK: Mapping[str, float] = {'segmentation_entropy': 1.25, 'relative_depth_sigma': 1.25,
                              'unfamiliarity': 2.5, 'predicted_failure': 1.0}
RECALL = 0.9
# Of a score that is 0 on all images, as the entropy of a single class: thresholds are above 0.
LEAST = 1e-6


def joint_thresholds(scores: Mapping[str, np.ndarray], percentile: float, *,
                     bad: Mapping[str, np.ndarray] | None = None, recall: float = RECALL,
                     slack: Mapping[str, float] = SLACK) -> dict[str, float]:
    """
    Return a threshold for each score.

    Each score is divided by its own percentile times its slack; what is then the percentile of
    the largest of an image scales them all. A few dozen rooms tell a 95th percentile badly: where
    bad pictures are given, and the thresholds could be higher and still catch the share of them
    that is asked for, they are.

    :param scores: by name, [n] of the same clean images, above 0, none of which the scores or
        the network were fitted to.
    :param percentile: share of these images, in percent, that stay below all thresholds.
    :param bad: by name, [m] of pictures whose maps are known to be bad, likewise not fitted to.
    :param recall: share of the bad ones that is to be caught.
    :param slack: by name; 1 where a score is not named.
    :raises InputError: if there is no score or no image.
    """
    if not scores or not all(len(values) for values in scores.values()):
        raise InputError('thresholds need a score of one image or more')
    # Not max(): a score that is no number keeps its threshold from being one.
    reference = {name: float(np.maximum(LEAST, np.percentile(values, percentile)
                                        * slack.get(name, 1.0)))
                 for name, values in scores.items()}
    factor = float(np.percentile(largest_ratio(scores, reference), percentile))
    if bad is not None and len(bad[next(iter(scores))]):
        factor = max(factor, float(np.quantile(largest_ratio(bad, reference), 1.0 - recall)))
    return {name: float(np.maximum(LEAST, factor * value)) for name, value in reference.items()}


def largest_ratio(scores: Mapping[str, np.ndarray], thresholds: Mapping[str, float]) -> np.ndarray:
    """
    Return each image's largest score, as a multiple of its threshold: above 1 it raises.

    :param scores: by name, [n] each; those without a threshold do not judge.
    """
    return np.max([np.asarray(scores[name], np.float64) / value
                   for name, value in thresholds.items()], axis=0)
