# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How far a network's metres are off before a robot's camera, by what its depth camera saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
from emu_perception.errors import InputError
from emu_perception.normal_distribution import Z90
import numpy as np

COVERED = 0.9
# Fewer pixels with a depth say nothing of a frame.
_FEWEST_PIXELS = 200
# Of each frame: neighbouring pixels say the same.
_SAMPLED = 2000
_LEAST_VARIANCE = 1e-12  # m²: who is surer divides nothing by 0.
# Off by less, and the sensor's own error may be all of it.
_SLIGHT = 0.1


@dataclass(frozen=True)
class FrameDepth:
    """
    A frame against its sensor.

    :ivar log_ratio: natural logarithm of predicted / sensor, the median over its pixels.
    :ivar abs_rel: mean of |predicted - sensor| / sensor.
    :ivar z: of some pixels, |predicted - sensor| / sigma.
    """

    log_ratio: float
    abs_rel: float
    z: np.ndarray


@dataclass(frozen=True)
class DepthCheck:
    """
    What a recording says of the metres.

    :ivar frames: that were compared.
    :ivar ratio: predicted / sensor, the median over the frames: 1.37 is 37 % too far.
    :ivar between: the middle 80 % of the frames' own ratios.
    :ivar abs_rel: mean over the frames.
    :ivar held: share of the sensor's depths inside the 90 % intervals.
    :ivar variance_factor: what makes them hold 90 %, beside the present variance.
    :ivar as_hint: whether ``held`` and ``variance_factor`` are those of a scale that each frame's
        sensor has set right.
    """

    frames: int
    ratio: float
    between: tuple[float, float]
    abs_rel: float
    held: float
    variance_factor: float
    as_hint: bool = False

    @property
    def sentence(self) -> str:
        """Return it for people."""
        text = (f'{off_in_words(self.ratio)} (median of {self.frames} frames, 80 % of them '
                f'between {self.between[0]:.2f} and {self.between[1]:.2f} of the depth camera); '
                f'{100 * self.held:.0f} % of its depths lie inside the 90 % intervals'
                f'{" with the scale of the depth camera" if self.as_hint else ""}')
        if self.as_hint:
            return f'{text}; set depth_hint'
        return text + (': fine-tune, or give it the depth camera' if is_off(self.ratio) else '')


def is_off(ratio: float) -> bool:
    """Tell whether predicted / true is off by more than may be the ruler's own error."""
    return abs(ratio - 1.0) >= _SLIGHT


def off_in_words(ratio: float) -> str:
    """Return predicted / true for people."""
    percent = f'{100 * abs(ratio - 1.0):.0f} %'
    if not is_off(ratio):
        return f'depth is right to {percent} here'
    return f'depth is {percent} {"too far" if ratio > 1 else "too near"} here'


def compare_frame(depth: np.ndarray, variance: np.ndarray, sensor: np.ndarray,
                  seed: int = 0, *, as_hint: bool = False) -> FrameDepth | None:
    """
    Compare a frame's depth with the sensor's; None where that saw too little.

    :param depth: metres [h, w], of this camera; ``variance`` m², likewise.
    :param sensor: metres [H, W] of the same view, 0 or not finite where there is none.
    :param seed: of the pixels that are sampled.
    :param as_hint: whether the robot's metres get the sensor's scale: ``z`` is of what is left.
    """
    height, width = depth.shape
    sensor = cv2.resize(np.asarray(sensor, np.float32), (width, height),
                        interpolation=cv2.INTER_NEAREST_EXACT)
    # One pixel whose variance is no number would be the whole recording's.
    known = np.isfinite(sensor) & (sensor > 0) & np.isfinite(depth) & (depth > 0) & np.isfinite(
        variance)
    if int(known.sum()) < _FEWEST_PIXELS:
        return None
    predicted, true = depth[known].astype(np.float64), sensor[known].astype(np.float64)
    log_ratio = float(np.median(np.log(predicted / true)))
    scale = np.exp(-log_ratio) if as_hint else 1.0
    z = np.abs(scale * predicted - true) / (
        scale * np.sqrt(np.maximum(variance[known], _LEAST_VARIANCE)))
    some = np.random.default_rng(seed).choice(len(z), min(_SAMPLED, len(z)), replace=False)
    return FrameDepth(log_ratio, float((np.abs(predicted - true) / true).mean()), z[some])


def check_depth(frames: Sequence[FrameDepth], *, as_hint: bool = False) -> DepthCheck:
    """
    Sum a recording up.

    :param as_hint: as :func:`compare_frame`; the variance is never made smaller then: without the
        hint, which may get lost, nothing of what was measured here holds.
    :raises InputError: if in no frame the sensor saw enough.
    """
    if not frames:
        raise InputError('the depth camera saw too little in every frame: depth is not checked')
    ratios = np.exp([frame.log_ratio for frame in frames])
    z = np.concatenate([frame.z for frame in frames])
    low, high = np.percentile(ratios, (10, 90))
    return DepthCheck(
        len(frames), float(np.median(ratios)), (float(low), float(high)),
        float(np.mean([frame.abs_rel for frame in frames])), float((z <= Z90).mean()),
        max(float((np.quantile(z, COVERED) / Z90) ** 2), 1.0 if as_hint else 0.0), as_hint)
