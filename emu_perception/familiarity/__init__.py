# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Is this a picture that the network knows, and how wrong is it likely to be on it."""

from emu_perception.familiarity.fitted_scores import (
    FittedScores,
    INPUT_SCORES,
    load_fitted_scores,
    PREDICTED_FAILURE,
    UNFAMILIARITY,
)
from emu_perception.familiarity.joint_threshold import joint_thresholds, largest_ratio, SLACK
from emu_perception.familiarity.predicted_failure import fit_predicted_failure
from emu_perception.familiarity.unfamiliarity import Familiarity, fit_familiarity

__all__ = ['Familiarity', 'FittedScores', 'INPUT_SCORES', 'PREDICTED_FAILURE', 'SLACK',
           'UNFAMILIARITY', 'fit_familiarity', 'fit_predicted_failure', 'joint_thresholds',
           'largest_ratio', 'load_fitted_scores']
