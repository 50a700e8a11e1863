# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a depth camera is worth to a recording, image by image, and in all."""

from __future__ import annotations

from dataclasses import dataclass
import logging

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.source import InputImage
from emu_perception.commands.hints import Hints
from emu_perception.errors import InputError
from emu_perception.fusion import DepthHint, fused_prediction, ScaleBelief
from emu_perception.prediction import Prediction
import numpy as np

LOGGER = logging.getLogger('emu_perception')


@dataclass(frozen=True)
class HintFigures:
    """
    Of one image.

    :ivar holes: share of pixels that the sensor does not see; 1 without a hint.
    :ivar abs_rel: of the network by itself against the sensor; None without a hint.
    """

    holes: float
    abs_rel: float | None


@dataclass(frozen=True)
class HintSummary:
    """
    Of all images.

    :ivar with_hint: so many had one that sees what the network sees.
    :ivar holes: mean share of pixels that the sensor does not see, of those.
    :ivar network_abs_rel: of the network by itself against the sensor.
    :ivar scale_factors: what its metres are multiplied by: the tenth, fiftieth and ninetieth of a
        hundred images.
    """

    images: int
    with_hint: int
    holes: float | None = None
    network_abs_rel: float | None = None
    scale_factors: tuple[float, float, float] = (1.0, 1.0, 1.0)


class HintTrack:
    """Joins a depth camera into the images of a recording, in their order."""

    def __init__(self, hints: Hints, prior: float) -> None:
        """
        Know nothing of the scale yet.

        :param prior: standard deviation of the log scale before any hint, as ``depth_hint_prior``.
        """
        self._hints = hints
        self._belief = ScaleBelief.before(prior)
        self._before_ns: int | None = None
        self._figures: list[HintFigures] = []
        self._factors: list[float] = []

    def joined(self, image: InputImage, rgb: np.ndarray, prediction: Prediction, camera: Camera
               ) -> tuple[Prediction, HintFigures]:
        """
        Return the prediction with the image's hint, and what that is worth.

        :param rgb: rectified, where the camera's image is.
        """
        hint = self._hint(image, camera)
        stamp_ns = image.header.stamp_ns
        if self._before_ns is not None:
            self._belief = self._belief.after((stamp_ns - self._before_ns) / 1e9)
        self._before_ns = stamp_ns
        network = prediction.depth
        assert network is not None
        prediction, fused = fused_prediction(prediction, rgb, hint, self._belief, any_scale=True)
        self._belief = fused.belief
        figures = _figures(network, hint)
        self._figures.append(figures)
        self._factors.append(fused.belief.factor)
        return prediction, figures

    def summary(self) -> HintSummary:
        """Return the figures of all images."""
        hinted = [one for one in self._figures if one.abs_rel is not None]
        if not hinted:
            return HintSummary(len(self._figures), 0)
        low, middle, high = (float(value) for value in np.percentile(self._factors, (10, 50, 90)))
        return HintSummary(
            len(self._figures), len(hinted), float(np.mean([one.holes for one in hinted])),
            float(np.mean([one.abs_rel or 0.0 for one in hinted])), (low, middle, high))

    def _hint(self, image: InputImage, camera: Camera) -> DepthHint | None:
        try:
            return self._hints.of(image, camera)
        except InputError as error:
            LOGGER.warning('%s: depth hint is left out: %s', image.name, error)
            return None


def hint_line(summary: HintSummary) -> str:
    """Return a summary for people."""
    if summary.network_abs_rel is None or summary.holes is None:
        return (f'depth hint: none of {summary.images} images has one (stamps, names?); their '
                "depth is the network's")
    low, middle, high = summary.scale_factors
    return (f'depth hint: in {summary.with_hint} of {summary.images} images, '
            f'{100 * summary.holes:.0f} % of their pixels are holes; the network by itself is off '
            f'by abs rel {summary.network_abs_rel:.2f}, its metres are multiplied by '
            f'{middle:.2f} ({low:.2f} to {high:.2f})')


def _figures(network: np.ndarray, hint: DepthHint | None) -> HintFigures:
    if hint is None:
        return HintFigures(1.0, None)
    seen = hint.at((network.shape[0], network.shape[1]))
    both = seen.known & np.isfinite(network)
    holes = 1.0 - float(seen.known.mean())
    if not both.any():
        return HintFigures(holes, None)
    true = seen.depth[both]
    return HintFigures(holes, float((np.abs(network[both] - true) / true).mean()))
