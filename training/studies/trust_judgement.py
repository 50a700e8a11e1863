# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Judge the flag against the real error of pictures.

Nothing is judged by what it was fitted to: a kind by scores that were fitted without it, a run of
frames by thresholds of the other runs' clean images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emu_perception.familiarity import FittedScores, largest_ratio
import numpy as np

from ..calibration.joint_fit import bad_corrupted, thresholds_by
from ..calibration.observations import Observations
from ..calibration.training_pictures import CLEAN
from ..data.frame_runs import frame_runs

DRAWS = 1000
INTERVAL = (5.0, 95.0)  # Percentiles of a statistic over the draws.


@dataclass(frozen=True)
class Judged:
    """
    What the flag says of n pictures.

    :ivar scores: by name, [n] each.
    :ivar ratio: [n], the largest score by its threshold: above 1 it raises.
    :ivar by: [n] for each score: its own part of that ratio.
    """

    scores: dict[str, np.ndarray]
    ratio: np.ndarray
    by: dict[str, np.ndarray]


def judge(fitted: FittedScores, pictures: Observations, names: Sequence[str],
          percentile: float, without: str | None = None) -> Judged:
    """
    Judge pictures of a split, each run by thresholds of the other runs'.

    :param names: of the scores that judge, beside the two that are fitted.
    :param percentile: of the clean images, for the joint threshold.
    :param without: a kind whose bad pictures have no part in the thresholds.
    """
    scores = {name: pictures.scores[name] for name in names if name in pictures.scores}
    scores.update(fitted.measure_all(pictures.statistics, pictures.scores))
    clean, run = pictures.kind == CLEAN, runs_of(pictures.stem)
    bad = bad_corrupted(pictures) & (pictures.kind != without)
    by = {name: np.zeros(len(run)) for name in scores}
    for own in np.unique(run):
        others = clean & (run != own)
        # One run only: nothing is apart from it.
        chosen = others if others.any() else clean
        limits = thresholds_by(scores, chosen, bad & (run != own), percentile)
        for name, limit in limits.items():
            by[name][run == own] = scores[name][run == own] / limit
    return Judged(scores, largest_ratio(by, dict.fromkeys(by, 1.0)), by)


def runs_of(stems: np.ndarray) -> np.ndarray:
    """Return the number of each picture's run of neighbouring frames, [n]."""
    number = {stem: i for i, run in enumerate(frame_runs(sorted(set(stems)))) for stem in run}
    return np.array([number[stem] for stem in stems])


def risk_coverage(score: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the share of bad pictures among those that are kept, the lowest scores first.

    :return: coverage (share kept) and risk, [n] each (Geifman and El-Yaniv 2017).
    """
    kept = np.arange(1, len(score) + 1)
    risk = np.cumsum(bad[np.argsort(score, kind='stable')]) / kept
    return kept / len(score), risk


def run_interval(statistic: Callable[[np.ndarray], float], run: np.ndarray,
                 draws: int = DRAWS) -> list[float]:
    """
    Return the interval of a statistic when whole runs are drawn again and again.

    :param statistic: of the indices of pictures, some of them more than once.
    :param run: [n], of each picture.
    """
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(run == own) for own in np.unique(run)]
    values = [statistic(np.concatenate([members[i] for i in rng.integers(
        len(members), size=len(members))])) for _ in range(draws)]
    known = np.array(values)[np.isfinite(values)]
    return [float(limit) for limit in np.percentile(known, INTERVAL)] if known.size else []


def share_with_interval(flagged: np.ndarray, run: np.ndarray) -> dict[str, object]:
    """Return a share of pictures, of how many, and its interval over runs."""
    if not len(flagged):
        return {'share': None, 'pictures': 0, 'interval': []}
    return {'share': float(flagged.mean()), 'pictures': len(flagged),
            'interval': run_interval(lambda i: float(flagged[i].mean()), run)}
