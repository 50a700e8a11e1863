# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What an image is judged by: one row a score.

Each score is one number an image, larger where it is less to be trusted, read off the network's
own grid, so that the size of the published maps does not change it; or, where it is fitted, made
of the image's statistics by arrays that the checkpoint holds (``familiarity``). Calibration, the
risk flag, parameters, topics, diagnostics, recordings and reports read this table: a new score is
a file in ``measures`` and a row here. The table itself needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

from emu_perception.familiarity import PREDICTED_FAILURE, UNFAMILIARITY
from emu_perception.measures import depth_sigma, relative_depth_sigma, segmentation_entropy
from emu_perception.network_maps import NetworkMaps

if TYPE_CHECKING:  # The node reads the table before it is configured, where torch may be missing.
    import torch


@dataclass(frozen=True, kw_only=True)
class Score:
    """
    A row.

    :ivar name: its key in ``Prediction.scores`` and in a checkpoint's calibration.
    :ivar unit: of the number and of its threshold; '1' for plain numbers.
    :ivar task: the task a network needs for it; '' where it is fitted.
    :ivar words: for people.
    :ivar measure: calibrated maps of an image -> float64 scalar on their device; nothing in it
        may wait for the GPU. None where it is fitted. A value that is not finite raises the flag.
    :ivar tag: what its parameter and its keys in status and diagnostics are called after.
    :ivar topic: of its value, below the node's name; its key in status and diagnostics too.
    :ivar column: of ``emu_run``'s table and summary.
    :ivar highest: the largest threshold that a parameter may set.
    :ivar believable: what a checkpoint's threshold counts for at most: it is a percentile of what
        its own network says, and one that knows nothing would pass by it.
    :ivar instead_of: the score whose place it takes: calibration fits no threshold of that one.
    :ivar fitted: how the names of the statistics begin that a checkpoint has to hold for it; '' =
        none.
    """

    name: str
    unit: str
    words: str
    tag: str
    topic: str
    column: str
    highest: float
    believable: float = math.inf
    task: str = ''
    measure: Callable[[NetworkMaps], torch.Tensor] | None = None
    instead_of: str = ''
    fitted: str = ''

    @property
    def parameter(self) -> str:
        """Return the name of its threshold among the node's parameters."""
        return f'risk_threshold_{self.tag}'

    @property
    def key(self) -> str:
        """Return the key of its value in status and diagnostics."""
        return self.topic + self.suffix

    @property
    def threshold_key(self) -> str:
        """Return the key of the threshold in force."""
        return f'threshold_{self.tag}{self.suffix}'

    @property
    def origin_key(self) -> str:
        """Return the key of where the threshold in force came from."""
        return f'threshold_{self.tag}_from'

    @property
    def calibrated_key(self) -> str:
        """Return the key of the checkpoint's threshold."""
        return f'calibrated_risk_{self.tag}{self.suffix}'

    @property
    def threshold_column(self) -> str:
        """Return what ``emu_run``'s summary calls the threshold in force."""
        return f'threshold_{self.column.removeprefix("mean_")}'

    @property
    def in_metres(self) -> bool:
        """Tell whether it means anything only where the camera's focal length is known."""
        return self.unit == 'm'

    @property
    def suffix(self) -> str:
        """Return the unit as the end of a key."""
        return '' if self.unit == '1' else f'_{self.unit}'

    def text(self, *values: float) -> str:
        """
        Return it in words, with its value, or values with a comparison, and unit.

        Values that differ are told apart, however near they are: 0.641 > 0.641 is no reason.
        """
        digits = next((digits for digits in range(3, 9) if len(
            {f'{value:.{digits}f}' for value in values}) == len({*values})), 9)
        figures = ' > '.join(f'{value:.{digits}f}' for value in values)
        return f'{self.words} {figures}{"" if self.unit == "1" else f" {self.unit}"}'


SCORES: dict[str, Score] = {score.name: score for score in (
    Score(name='segmentation_entropy', unit='nat', task='segmentation', words='mean entropy',
          measure=segmentation_entropy.measure, tag='segmentation',
          topic='mean_segmentation_uncertainty', column='mean_entropy_nat', highest=10.0),
    Score(name='depth_sigma', unit='m', task='depth', words='mean depth sigma',
          measure=depth_sigma.measure, tag='depth',
          topic='mean_depth_uncertainty', column='mean_sigma_m', highest=1000.0),
    Score(name='relative_depth_sigma', unit='1', task='depth', words='mean relative depth sigma',
          measure=relative_depth_sigma.measure, tag='relative_depth',
          topic='mean_relative_depth_uncertainty', column='mean_relative_sigma', highest=10.0,
          # Sigma as large as the depth itself: anything may be anywhere, the lens included.
          believable=1.0, instead_of='depth_sigma'),
    Score(name=UNFAMILIARITY, unit='1', words='unfamiliarity', tag=UNFAMILIARITY,
          topic=UNFAMILIARITY, column=UNFAMILIARITY, highest=1000.0, fitted='familiarity.'),
    Score(name=PREDICTED_FAILURE, unit='1', words='predicted failure', tag=PREDICTED_FAILURE,
          topic=PREDICTED_FAILURE, column=PREDICTED_FAILURE, highest=1000.0,
          fitted='familiarity.failure.'),
)}


def scores_of(tasks: Collection[str], statistics: Collection[str] = ()) -> tuple[Score, ...]:
    """
    Return the rows that a network of these tasks has, in the table's order.

    :param statistics: names of those that its checkpoint holds.
    """
    return tuple(score for score in SCORES.values() if score.task in tasks or score.fitted and any(
        name.startswith(score.fitted) for name in statistics))


def names_of(tasks: Collection[str], statistics: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the scores that a network of these tasks has; as ``scores_of``."""
    return tuple(score.name for score in scores_of(tasks, statistics))


def fitted_scores(tasks: Collection[str],
                  statistics: Collection[str] = ()) -> tuple[Score, ...]:
    """Return the rows of which calibration fits a threshold: those that judge by default."""
    rows = scores_of(tasks, statistics)
    replaced = {score.instead_of for score in rows}
    return tuple(score for score in rows if score.name not in replaced)


def measured(maps: NetworkMaps) -> dict[str, torch.Tensor]:
    """
    Return every score that is read off maps, by name, float64 scalars on their device.

    The one function for node and calibration.

    :param maps: calibrated, at the network's size, without padding; depths not yet marked as
        beyond the range.
    """
    tasks = [task for task, there in (('segmentation', maps.entropy),
                                      ('depth', maps.depth_variance)) if there is not None]
    return {score.name: score.measure(maps) for score in scores_of(tasks)
            if score.measure is not None}
