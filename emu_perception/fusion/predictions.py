# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A Prediction with a depth camera joined in."""

from __future__ import annotations

from dataclasses import replace
import time

from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.contradiction import OFF
from emu_perception.fusion.hint import DepthHint
from emu_perception.fusion.joining import fuse, Fused
from emu_perception.prediction import Prediction, Scale
import numpy as np


def fused_prediction(prediction: Prediction, image: np.ndarray, hint: DepthHint | None,
                     belief: ScaleBelief, contradictions: str = OFF,
                     widening: float = 1.0, any_scale: bool = False) -> tuple[Prediction, Fused]:
    """
    Return the prediction with fused depth, variance, source and scale, and what was found.

    Scores are left as they are: the flag judges the network, which no sensor makes more certain.

    :param image: uint8 [H, W, 3], of any size.
    :param hint: what the sensor saw of this image; None = nothing: the scale is held.
    :param contradictions: as :func:`fuse`.
    :param any_scale: as :func:`fuse`.
    :param widening: what the network's sigma is multiplied by, 1 or more.
    """
    depth, variance = prediction.depth, prediction.depth_variance
    assert depth is not None and variance is not None, 'a hint is for the task depth'
    began = time.perf_counter()
    if widening > 1.0:
        variance = variance * np.float32(widening ** 2)
    fused = fuse(image, depth, variance, hint, belief, contradictions=contradictions,
                 any_scale=any_scale)
    maps = {**prediction.maps, 'depth': fused.depth, 'depth_variance': fused.variance,
            'depth_source': fused.source}
    epistemic = prediction.maps.get('depth_epistemic_variance')
    if epistemic is not None:  # Of the network's own depths, in the metres that those have now.
        maps['depth_epistemic_variance'] = epistemic * np.float32(fused.belief.factor ** 2)
    timing = {**prediction.timing_ms, 'fusion': 1e3 * (time.perf_counter() - began)}
    scale = Scale(fused.belief.factor, fused.belief.sigma)
    return replace(prediction, maps=maps, timing_ms=timing, scale=scale), fused
