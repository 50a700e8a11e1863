# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A depth camera, or the ground, joined into one image by itself, for who calls a Predictor."""

from __future__ import annotations

from emu_perception.errors import InputError
from emu_perception.fusion.constants import UNKNOWN_CAMERA_SIGMA
from emu_perception.fusion.ground import Ground
from emu_perception.fusion.hint import DepthHint
from emu_perception.fusion.hint_stream import HintStream, REFUSED
from emu_perception.prediction import Prediction
import numpy as np


def joined_alone(prediction: Prediction, rgb: np.ndarray, hint: DepthHint | None,
                 ground: Ground | None, *, fx: float, any_scale: bool = False) -> Prediction:
    """
    Return a prediction with what is told of its scale: by the hint, else by the ground.

    Where neither tells it, as without ground in sight, metres stay the network's, as unsure as of
    a camera that nobody knows: ``scale`` says so.

    :param rgb: uint8 [H, W, 3], of any size; ``hint`` is aligned to it.
    :param fx: pixels, by which the prediction is scaled.
    :param any_scale: take a hint too whose scale is no camera's.
    :raises InputError: if the hint's scale is no camera's, or the ground says far nearer metres
        than any camera's: mostly they are of other units.
    """
    found = HintStream(any_scale=any_scale).join(
        prediction, rgb, hint, fx=fx, prior=UNKNOWN_CAMERA_SIGMA, now_s=0.0, ground=ground)
    if found.cause == REFUSED:
        raise InputError(f'depth_hint cannot be used: {found.problem} any_hint_scale=True takes '
                         'it all the same')
    if found.ground is not None and found.ground.nearer:
        raise InputError(f'camera_height cannot be used: {found.ground.problem}')
    return found.prediction
