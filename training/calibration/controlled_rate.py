# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How sure a class must be so that little of what is called drivable is not: risk control."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .conformal import controlled
from .constants import Observation
from .promise_fit import known, softmax_of

# Confidences that may be asked for. Above 1 nothing is called drivable, and nothing wrongly.
CONFIDENCES = np.append(np.arange(0, 100) / 100, 1.01)


@dataclass(frozen=True)
class ControlledRate:
    """
    A confidence that keeps a rate, on average over new rooms.

    :ivar classes: that are drivable.
    :ivar rate: of what is called drivable, so much is something else at most.
    :ivar confidence: that a pixel needs to be called so; above 1 none is.
    :ivar groups: rooms that it is fitted to.
    :ivar before: that rate without it, mean over rooms.
    :ivar after: with the confidence that the other rooms give; None where those are too few to
        give one, as 8 are for a tenth.
    :ivar worst_room: of those, or None.
    :ivar kept: share of the drivable pixels that are still called so, of all rooms; before it is
        ``kept_before``.
    """

    classes: tuple[str, ...]
    rate: float
    confidence: float
    groups: int
    before: float
    after: float | None
    worst_room: float | None
    kept: float
    kept_before: float

    def as_json(self) -> dict[str, object]:
        """Return what a result file holds."""
        return asdict(self)


def controlled_rate(seen: Mapping[str, Observation], runs: Sequence[Sequence[str]],
                    names: Sequence[str], drivable: Collection[str], temperature: float,
                    rate: float = 0.1) -> ControlledRate | None:
    """
    Return the lowest confidence that keeps a rate; None where no label is known, or none does.

    The loss of a room is the share, of its pixels called drivable, of those that are not; 0 where
    none is called so. Its expectation over new rooms is what is promised.

    :param names: of all classes.
    :param drivable: some of them.
    """
    labelled = {stem: one for stem, one in seen.items() if one.has_labels}
    rooms = known(runs, labelled)
    wanted = np.isin(np.array(names), [*drivable])
    if not rooms or not wanted.any():
        return None
    counts = np.array([sum(_counts(labelled[stem], temperature, wanted) for stem in room)
                       for room in rooms], np.float64)
    called, wrong, there = counts[:, 0], counts[:, 1], counts[:, 2, :1]
    losses = np.divide(wrong, called, out=np.zeros_like(wrong), where=called > 0)
    found = controlled(losses, CONFIDENCES, rate)
    if found is None:
        return None
    left_out = []
    for room in range(len(rooms)):
        one = controlled(np.delete(losses, room, 0), CONFIDENCES, rate)
        if one is not None:
            left_out.append(losses[room, _at(one)])
    right = (called - wrong).sum(0) / max(there.sum(), 1.0)
    called_so = tuple(name for name, one in zip(names, wanted) if one)
    return ControlledRate(called_so, rate, found, len(rooms),
                          float(losses[:, 0].mean()),
                          float(np.mean(left_out)) if left_out else None,
                          float(np.max(left_out)) if left_out else None,
                          float(right[_at(found)]), float(right[0]))


def _at(confidence: float) -> int:
    return int(np.flatnonzero(confidence == CONFIDENCES)[0])


def _counts(seen: Observation, temperature: float, wanted: np.ndarray) -> np.ndarray:
    """Return pixels called drivable, wrongly so, and truly drivable, [3, confidences]."""
    probabilities, label = softmax_of(seen, temperature)
    confidence, guess = (part.numpy() for part in probabilities.max(1))
    true = wanted[label.numpy()]
    sure = (confidence[:, None] >= CONFIDENCES) & wanted[guess][:, None]
    return np.stack([sure.sum(0), (sure & ~true[:, None]).sum(0),
                     np.full(len(CONFIDENCES), true.sum())])


def rate_lines(found: Mapping[str, Any] | None) -> list[str]:
    """Return a :class:`ControlledRate`, as a result file holds it, for people."""
    if found is None:
        return []
    shares = {name: f'{100 * found[name]:.1f}' for name in (
        'rate', 'before', 'after', 'worst_room', 'kept_before', 'kept')
        if found[name] is not None}
    measured = (f'{shares["before"]} -> {shares["after"]} % in rooms left out, '
                f'{shares["worst_room"]} % in the worst' if 'after' in shares else
                f'{shares["before"]} % before; not measured in rooms left out, for the '
                f'{found["groups"] - 1} others are too few to promise it')
    return [f'ground_min_confidence {found["confidence"]:.2f}: of what is called '
            f'{", ".join(found["classes"])} at most {shares["rate"]} % is something else '
            f'(promised; {measured}; {shares["kept_before"]} -> {shares["kept"]} % of it is '
            'called so)']
