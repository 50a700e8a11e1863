# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The two scores that are fitted, as one thing: measured together, stored in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emu_perception.errors import CheckpointError
from emu_perception.familiarity.predicted_failure import PredictedFailure
from emu_perception.familiarity.unfamiliarity import Familiarity
import numpy as np

UNFAMILIARITY, PREDICTED_FAILURE = 'unfamiliarity', 'predicted_failure'
_ARRAYS = {'familiarity': ('mean', 'scale', 'components', 'variances'),
           'failure': ('mean', 'scale', 'weights')}


@dataclass(frozen=True)
class FittedScores:
    """
    What a checkpoint holds beside its weights and constants.

    :ivar familiarity: of the training images.
    :ivar failure: None where the error of no corrupted image was measured.
    """

    familiarity: Familiarity
    failure: PredictedFailure | None

    def measure(self, statistics: np.ndarray,
                scores: Mapping[str, float]) -> dict[str, float]:
        """
        Return both scores of an image; numbers that are not finite stay so, which raises.

        :param statistics: float32 [N], the network's one vector.
        :param scores: the image's other scores by name.
        """
        measured = self.measure_all(statistics, scores)
        return {name: float(value) for name, value in measured.items()}

    def measure_all(self, statistics: np.ndarray,
                    scores: Mapping[str, np.ndarray | float]) -> dict[str, np.ndarray]:
        """Return both scores of many images: statistics [..., N], scores and result [...]."""
        found = {UNFAMILIARITY: self.familiarity.unfamiliarity(statistics)}
        if self.failure is not None:
            found[PREDICTED_FAILURE] = self.failure.predicted(statistics, {**scores, **found})
        return found

    def arrays(self, prefix: str = 'familiarity.') -> dict[str, np.ndarray]:
        """Return the arrays to store, by name; ``description`` is the rest."""
        parts: dict[str, Any] = {'familiarity': self.familiarity, 'failure': self.failure}
        return {f'{prefix}{part}.{name}': getattr(parts[part], name)
                for part, names in _ARRAYS.items() if parts[part] is not None for name in names}

    def description(self) -> dict[str, Any]:
        """Return what is to be stored beside the arrays, plain values for JSON."""
        familiarity, failure = self.familiarity, self.failure
        return {'count': familiarity.count, 'residual': familiarity.residual,
                'failure': None if failure is None else {
                    'scores': list(failure.scores), 'first': failure.first,
                    'bias': failure.bias}}


def load_fitted_scores(arrays: Mapping[str, np.ndarray], description: Mapping[str, Any], *,
                       length: int, prefix: str = 'familiarity.',
                       source: str = 'checkpoint') -> FittedScores:
    """
    Return what ``arrays`` and ``description`` were made of.

    :param length: N of the network's statistics.
    :param source: the file, for messages.
    :raises CheckpointError: if a part is missing, of another shape, or no number.
    """
    def array(part: str, name: str, *shape: int | None) -> np.ndarray:
        key = f'{prefix}{part}.{name}'
        if key not in arrays:
            raise CheckpointError(f"{source}: tensor '{key}' is missing")
        values = np.asarray(arrays[key], np.float32)
        if values.ndim != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, values.shape)):
            raise CheckpointError(f"{source}: tensor '{key}' is {list(values.shape)}, expected "
                                  f'{[want if want is not None else "any" for want in shape]}')
        if not np.isfinite(values).all():
            raise CheckpointError(f"{source}: tensor '{key}' holds a value that is not finite")
        return values

    def positive(part: str, name: str, *shape: int | None) -> np.ndarray:
        values = array(part, name, *shape)
        if not (values > 0).all():
            raise CheckpointError(f"{source}: tensor '{prefix}{part}.{name}' holds a value that is "
                                  'not above 0')
        return values

    try:
        count, residual = int(description['count']), float(description['residual'])
        model = description['failure']
        known = None if model is None else (
            tuple(str(name) for name in model['scores']), int(model['first']),
            float(model['bias']))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{source}: field 'familiarity' is not as it was written "
                              f'({error!r})') from error
    mean = array('familiarity', 'mean', None)
    if len(mean) > length:
        raise CheckpointError(f"{source}: tensor '{prefix}familiarity.mean' is [{len(mean)}], but "
                              f'the network gives {length} statistics')
    variances = positive('familiarity', 'variances', None)
    familiarity = Familiarity(
        count, mean, positive('familiarity', 'scale', len(mean)),
        array('familiarity', 'components', len(variances), len(mean)), variances, residual)
    if known is None:
        return FittedScores(familiarity, None)
    names, first, bias = known
    if not 0 <= first <= length:
        raise CheckpointError(f"{source}: field 'familiarity.failure.first' is {first}, but the "
                              f'network gives {length} statistics')
    size = len(names) + length - first
    return FittedScores(familiarity, PredictedFailure(
        names, first, array('failure', 'mean', size), positive('failure', 'scale', size),
        array('failure', 'weights', size), bias))
