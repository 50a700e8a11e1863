# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels are ground, by their labels."""

from __future__ import annotations

from collections.abc import Sequence

from emu_perception.planning.classes import members
from emu_perception.prediction import Prediction
import numpy as np


def ground_pixels(prediction: Prediction, classes: Sequence[str], names: Sequence[str],
                  least: float, parameter: str = 'ground_classes') -> np.ndarray:
    """
    Return which pixels are of the named classes, as surely as asked, bool [H, W].

    :param classes: of the checkpoint, by index.
    :param least: probability of the pixel's class; 0 = any.
    :param parameter: that lists the names, for the error.
    :raises InputError: one line, if the checkpoint has no class of such a name.
    """
    label, confidence = prediction.label, prediction.confidence
    if label is None or not names:
        return np.zeros(prediction.size, bool)
    named = np.asarray(members(classes, names, parameter)[label])
    if least > 0:
        # Written so that a confidence that is no number, or not there, is none.
        named &= np.False_ if confidence is None else confidence >= least
    return named
