# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The two scores that are fitted, as one thing: measured together, kept as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emu_perception.errors import CheckpointError
from emu_perception.familiarity.predicted_failure import PredictedFailure
from emu_perception.familiarity.unfamiliarity import Familiarity
import numpy as np

UNFAMILIARITY, PREDICTED_FAILURE = 'unfamiliarity', 'predicted_failure'
# What predicted failure is a function of, beside the statistics; a network of one task has not
# all. Each is above 0.
INPUT_SCORES = ('segmentation_entropy', 'relative_depth_sigma', UNFAMILIARITY)


@dataclass(frozen=True)
class FittedScores:
    """
    What a checkpoint holds beside its weights and constants.

    :ivar familiarity: of the training images.
    :ivar failure: None where the error of no corrupted image was measured.
    """

    familiarity: Familiarity
    failure: PredictedFailure | None = None

    def measure(self, statistics: np.ndarray, scores: Mapping[str, float]) -> dict[str, float]:
        """
        Return both scores of an image by name; from what is not finite comes what is not finite.

        :param statistics: float32 [N], the network's one vector.
        :param scores: the image's other scores by name.
        """
        return {name: float(value)
                for name, value in self.measure_all(statistics, scores).items()}

    def measure_all(self, statistics: np.ndarray, scores: Mapping[str, np.ndarray | float],
                    ) -> dict[str, np.ndarray]:
        """Return both scores of many images: statistics [..., N], scores and result [...]."""
        found = {UNFAMILIARITY: self.familiarity.unfamiliarity(statistics)}
        if self.failure is not None:
            found[PREDICTED_FAILURE] = self.failure.predicted(statistics, {**scores, **found})
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """Return float32 arrays by name, for ``CheckpointMetadata.statistics``."""
        familiarity, failure = self.familiarity, self.failure
        found = {'familiarity.count': np.array([familiarity.count], np.float32),
                 'familiarity.residual': np.array([familiarity.residual], np.float32),
                 'familiarity.mean': familiarity.mean, 'familiarity.scale': familiarity.scale,
                 'familiarity.components': familiarity.components,
                 'familiarity.variances': familiarity.variances}
        if failure is not None:
            found.update({'familiarity.failure.mean': failure.mean,
                          'familiarity.failure.scale': failure.scale,
                          'familiarity.failure.weights': failure.weights,
                          'familiarity.failure.bias': np.array([failure.bias], np.float32)})
        return found


def load_fitted_scores(arrays: Mapping[str, np.ndarray], available: tuple[str, ...],
                       source: str = 'checkpoint') -> FittedScores | None:
    """
    Return what ``FittedScores.arrays`` gave; None where there is nothing of it.

    :param arrays: of a checkpoint, by name.
    :param available: names of the scores that its network gives.
    :param source: its file, for messages.
    :raises CheckpointError: if an array is missing, of another shape, or holds no number.
    """
    if not any(name.startswith('familiarity.') for name in arrays):
        return None

    def array(name: str, *shape: int | None, above_0: bool = False) -> np.ndarray:
        values = arrays.get(f'familiarity.{name}')
        if values is None:
            raise CheckpointError(f"{source}: field 'statistics' has no familiarity.{name}: the "
                                  'file was edited; export it again')
        wanted = ', '.join('any' if side is None else str(side) for side in shape)
        if values.ndim != len(shape) or any(want not in (None, have)
                                            for want, have in zip(shape, values.shape)):
            raise CheckpointError(f"{source}: field 'statistics': familiarity.{name} is "
                                  f'{list(values.shape)}, not [{wanted}]')
        if not np.isfinite(values).all() or above_0 and not (values > 0).all():
            problem = 'not above 0' if above_0 else 'not finite'
            raise CheckpointError(f"{source}: field 'statistics': familiarity.{name} holds a "
                                  f'value that is {problem}')
        return values

    mean = array('mean', None)
    variances = array('variances', None, above_0=True)
    familiarity = Familiarity(
        int(array('count', 1, above_0=True)[0]), mean, array('scale', len(mean), above_0=True),
        array('components', len(variances), len(mean)), variances, float(array('residual', 1)[0]))
    if not any(name.startswith('familiarity.failure.') for name in arrays):
        return FittedScores(familiarity)
    weights = array('failure.weights', None)
    return FittedScores(familiarity, PredictedFailure(
        tuple(name for name in INPUT_SCORES if name in (*available, UNFAMILIARITY)),
        familiarity.length, array('failure.mean', len(weights)),
        array('failure.scale', len(weights), above_0=True), weights,
        float(array('failure.bias', 1)[0])))
