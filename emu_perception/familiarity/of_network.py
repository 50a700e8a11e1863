# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The fitted scores of a checkpoint, which have to be of the network that is to give them."""

from __future__ import annotations

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import CheckpointError
from emu_perception.familiarity import FittedScores, load_fitted_scores
from emu_perception.networks.families import InferenceNetwork
from emu_perception.networks.multitask import FoldedNetwork
from emu_perception.networks.statistics import statistics_length
from emu_perception.scores import names_of, SCORES


def fitted_scores_of(metadata: CheckpointMetadata, network: InferenceNetwork
                     ) -> FittedScores | None:
    """
    Return the checkpoint's fitted scores, which have to be of this network; None = it has none.

    :raises CheckpointError: if they are not.
    """
    source = metadata.name or 'checkpoint'
    fitted = load_fitted_scores(metadata.statistics, names_of(metadata.tasks), source)
    if fitted is None:
        for name in metadata.calibration.scores:
            if SCORES[name].fitted:
                raise CheckpointError(f"{source}: field 'calibration' judges by {name}, but field "
                                      "'statistics' has nothing that it is made of: calibrate it "
                                      'again')
        return None
    if not isinstance(network, FoldedNetwork):
        raise CheckpointError(f"{source}: field 'statistics' has familiarity.mean, but a network "
                              f"of the family '{network.family}' gives no statistics: remove it")
    length, failure = statistics_length(network), fitted.failure
    needed = fitted.familiarity.length
    if failure is not None:
        needed += len(failure.weights) - len(failure.scores)
    if needed > length or failure is not None and needed != length:
        raise CheckpointError(f"{source}: field 'statistics': familiarity is of {needed} numbers, "
                              f'the network gives {length}: it was fitted to another network')
    return fitted
