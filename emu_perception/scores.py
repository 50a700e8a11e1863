# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What an image is judged by: one row a score.

Each score is one number an image, larger where it is less to be trusted, read off the network's
own grid, so that the size of the published maps does not change it. Calibration, the risk flag,
diagnostics, recordings and reports read this table: a new score is a file in ``measures`` and a
row here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from emu_perception.measures import depth_sigma, segmentation_entropy
from emu_perception.network_maps import NetworkMaps
import torch


@dataclass(frozen=True)
class Score:
    """
    A row.

    :ivar name: its key in ``Prediction.scores`` and in a checkpoint's calibration.
    :ivar unit: of the number and of its threshold.
    :ivar task: the task a network needs for it.
    :ivar words: for people.
    :ivar measure: calibrated maps of an image -> float64 scalar on their device; nothing in it
        may wait for the GPU. A value that is not finite raises the flag.
    """

    name: str
    unit: str
    task: str
    words: str
    measure: Callable[[NetworkMaps], torch.Tensor]


SCORES: dict[str, Score] = {score.name: score for score in (
    Score('segmentation_entropy', 'nat', 'segmentation', 'mean entropy',
          segmentation_entropy.measure),
    Score('depth_sigma', 'm', 'depth', 'mean depth sigma', depth_sigma.measure),
)}


def scores_of(tasks: Collection[str]) -> tuple[Score, ...]:
    """Return the rows that a network of these tasks has, in the table's order."""
    return tuple(score for score in SCORES.values() if score.task in tasks)


def measured(maps: NetworkMaps) -> dict[str, torch.Tensor]:
    """
    Return every score of an image by name, float64 scalars on the maps' device.

    The one function for node and calibration.

    :param maps: calibrated, at the network's size, without padding; depths not yet marked as
        beyond the range.
    """
    tasks = [task for task, there in (('segmentation', maps.entropy),
                                      ('depth', maps.depth_variance)) if there is not None]
    return {score.name: score.measure(maps) for score in scores_of(tasks)}
