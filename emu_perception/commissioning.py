# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Make a checkpoint's familiarity and thresholds this robot's own, from its normal driving.

No label is needed: what the robot sees while all is well is what the flag should stay down for.
The training images still say how pictures differ from room to room; the robot's say where its own
camera's lie among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emu_perception.errors import InputError
from emu_perception.familiarity import (
    FittedScores,
    joint_thresholds,
    largest_ratio,
    SLACK,
    UNFAMILIARITY,
)
import numpy as np

# Of the robot's frames in the mixture with the training images: enough that its camera is no
# longer strange, little enough that another room before the same camera is not.
SHARE = 0.2
# Below these the recording says too little, and that is said.
FEWEST_FRAMES, SHORTEST_S = 30, 60.0
# Of the robot's pictures, as a part of the training images': a moving robot's is about 0.3, one
# that stands still has 0.02.
SMALLEST_SPREAD = 0.1
_BLOCKS = 5
# Nearer than the training images' own: a minute of one camera tells exactly what its pictures
# look like, and predicted failure, which may forgive what unfamiliarity sees, was fitted to
# another camera.
_SLACK = {**SLACK, UNFAMILIARITY: 1.4}
_LEAST_FRAMES = 10  # Fewer cannot be split.


@dataclass(frozen=True)
class Recording:
    """
    What the network gave for the frames of a recording, in their order.

    :ivar time_s: [n], never falling.
    :ivar statistics: float32 [n, N].
    :ivar scores: by name, [n] each: those that are not fitted.
    """

    time_s: np.ndarray
    statistics: np.ndarray
    scores: Mapping[str, np.ndarray]

    def part(self, frames: slice | np.ndarray) -> Recording:
        """Return some of the frames."""
        return Recording(self.time_s[frames], self.statistics[frames],
                         {name: values[frames] for name, values in self.scores.items()})


@dataclass(frozen=True)
class HeldOut:
    """
    What the flag would have said of the later part of a recording, fitted to the earlier.

    :ivar frames: of the later part; ``fitted`` of the earlier.
    :ivar flagged: share of the later part's frames.
    :ivar raises_per_minute: how often it went up; None where the part spans no time.
    :ivar longest_s: the longest time that it stayed up.
    :ivar flagged_before: share that the thresholds from before would have flagged.
    """

    fitted: int
    frames: int
    flagged: float
    raises_per_minute: float | None
    longest_s: float
    flagged_before: float


@dataclass(frozen=True)
class Commissioned:
    """
    A checkpoint's fitted scores and thresholds, made a robot's.

    :ivar thresholds: by name of the score.
    :ivar warnings: what is wrong with the recording; sentences.
    """

    fitted: FittedScores
    thresholds: dict[str, float]
    held_out: HeldOut
    warnings: tuple[str, ...]


def commission(fitted: FittedScores, thresholds: Mapping[str, float], recording: Recording,
               *, percentile: float = 95.0, held_out: float = 0.5) -> Commissioned:
    """
    Fit to a whole recording, after measuring what a fit to its earlier part says of the later.

    :param fitted: the checkpoint's, to training images or to another robot's.
    :param thresholds: the checkpoint's, by name.
    :param percentile: of the robot's frames stay below all thresholds, where they were not
        fitted to.
    :param held_out: share of the frames, the last ones, that are measured.
    :raises InputError: if there are too few frames to split, or no threshold to move.
    """
    count = len(recording.time_s)
    if not thresholds:
        raise InputError('the checkpoint has no risk thresholds to commission: run '
                         'emu calibrate on it')
    if count < _LEAST_FRAMES:
        raise InputError(f'the recording has {count} frames: commissioning needs '
                         f'{_LEAST_FRAMES}, and {FEWEST_FRAMES} to say something')
    if not 0 < held_out < 1:
        raise InputError(f'held_out is {held_out}: give a share above 0 and below 1')
    cut = min(max(2, round(count * (1 - held_out))), count - 1)
    early, late = recording.part(slice(0, cut)), recording.part(slice(cut, count))
    measured = _measured(fitted, thresholds, early, late, percentile)
    return Commissioned(_refitted(fitted, recording),
                        _thresholds(fitted, thresholds, recording, percentile), measured,
                        _warnings(fitted, recording))


def _refitted(fitted: FittedScores, recording: Recording) -> FittedScores:
    return replace(fitted, familiarity=fitted.familiarity.mixed(recording.statistics, SHARE))


def _thresholds(fitted: FittedScores, before: Mapping[str, float], recording: Recording,
                percentile: float) -> dict[str, float]:
    """
    Return the thresholds for a recording, each block of it judged by a fit to the others.

    Unfamiliarity's is the robot's own. The others are raised where this robot's normal driving
    needs it, and never lowered: what they say of an error is the same for every robot.
    """
    blocks = np.array_split(np.arange(len(recording.time_s)),
                            min(_BLOCKS, len(recording.time_s) // 2))
    found: dict[str, list[np.ndarray]] = {}
    for block in blocks:
        others = np.setdiff1d(np.arange(len(recording.time_s)), block)
        part = recording.part(block)
        for name, values in _scores(_refitted(fitted, recording.part(others)), part).items():
            found.setdefault(name, []).append(values)
    scores = {name: np.concatenate(values) for name, values in found.items() if name in before}
    own = joint_thresholds(scores, percentile, slack=_SLACK)
    return {name: limit if name not in own else
            own[name] if name == UNFAMILIARITY else max(limit, own[name])
            for name, limit in before.items()}


def _scores(fitted: FittedScores, recording: Recording) -> dict[str, np.ndarray]:
    return {**recording.scores, **fitted.measure_all(recording.statistics, recording.scores)}


def _measured(fitted: FittedScores, before: Mapping[str, float], early: Recording,
              late: Recording, percentile: float) -> HeldOut:
    after = _thresholds(fitted, before, early, percentile)
    ratio = largest_ratio(_scores(_refitted(fitted, early), late), after)
    old = largest_ratio(_scores(fitted, late), before)
    raised = ~(ratio <= 1.0)  # What is no number raises.
    raises, longest = raises_of(raised, late.time_s)
    minutes = float(late.time_s[-1] - late.time_s[0]) / 60.0
    return HeldOut(len(early.time_s), len(raised), float(raised.mean()),
                   raises / minutes if minutes > 0 else None, longest,
                   float((~(old <= 1.0)).mean()))


def raises_of(raised: np.ndarray, time_s: np.ndarray) -> tuple[int, float]:
    """
    Return how often a flag goes up, and the longest time it stays up.

    :param raised: bool [n], of successive frames; the flag is down before the first.
    :param time_s: [n].
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], raised.astype(int), [0]])))
    starts, ends = edges[::2], edges[1::2]
    # It stays up until the first frame that is clear, or the last of all.
    last = time_s[np.minimum(ends, len(time_s) - 1)]
    return len(starts), float(np.max(last - time_s[starts], initial=0.0))


def spread(fitted: FittedScores, statistics: np.ndarray) -> float:
    """Return how much pictures differ from one another, as a part of the training images'."""
    familiarity = fitted.familiarity
    z = (statistics[:, :familiarity.length] - familiarity.mean) / familiarity.scale
    along = z @ familiarity.components.T
    return float((along.var(axis=0) / familiarity.variances).mean())


def _warnings(fitted: FittedScores, recording: Recording) -> tuple[str, ...]:
    count, seconds = len(recording.time_s), float(recording.time_s[-1] - recording.time_s[0])
    found = []
    if count < FEWEST_FRAMES:
        found.append(f'the recording has {count} frames: with fewer than {FEWEST_FRAMES} the '
                     'thresholds are a guess; record more')
    if seconds < SHORTEST_S:
        found.append(f'the recording is {seconds:.0f} s long: below {SHORTEST_S:.0f} s it has '
                     'seen little of what is normal here; record a minute or more')
    differ = spread(fitted, recording.statistics)
    if differ < SMALLEST_SPREAD:
        found.append(f'the frames differ little from one another (spread {differ:.3f}; a moving '
                     f'robot has {SMALLEST_SPREAD:g} and more): drive through the places where '
                     'it works')
    return tuple(found)
