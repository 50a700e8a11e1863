# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a depth camera, or the ground, is worth to a recording, image by image, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import logging

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.source import InputImage
from emu_perception.commands.ground_ruler import GroundRuler, GroundSummary
from emu_perception.commands.hints import Hints
from emu_perception.errors import InputError
from emu_perception.fusion import DepthHint, GroundWord, HintStream
from emu_perception.prediction import Prediction
import numpy as np

LOGGER = logging.getLogger('emu_perception')


@dataclass(frozen=True)
class HintFigures:
    """
    Of one image.

    :ivar holes: share of pixels that the sensor does not see; 1 without a hint; None where no
        depth camera is joined in.
    :ivar abs_rel: of the network by itself against the sensor; None without a hint.
    :ivar contradiction: why its hint, or its ground, was refused as far nearer, or the hint may be
        of another depth camera; '' where neither is so.
    """

    holes: float | None
    abs_rel: float | None
    contradiction: str = ''


@dataclass(frozen=True)
class HintSummary:
    """
    Of all images.

    :ivar with_hint: so many had one that sees what the network sees.
    :ivar holes: mean share of pixels that the sensor does not see, of those.
    :ivar network_abs_rel: of the network by itself against the sensor.
    :ivar scale_factors: what its metres are multiplied by: the tenth, fiftieth and ninetieth of a
        hundred images.
    :ivar left_out: how many hints were not joined in, by cause: ``unusable``, ``refused`` for a
        scale that is no camera's, ``empty``, ``frozen``, ``contrary`` to those before.
    """

    images: int
    with_hint: int
    holes: float | None = None
    network_abs_rel: float | None = None
    scale_factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    left_out: Mapping[str, int] = field(default_factory=dict)


class HintTrack:
    """Joins a depth camera, or the ground, into the images of a recording, in their order."""

    def __init__(self, hints: Hints | None, prior: float, *, any_scale: bool = False,
                 each: bool = False, ruler: GroundRuler | None = None) -> None:
        """
        Know nothing of the scale yet.

        :param hints: None = no depth camera is joined in.
        :param prior: standard deviation of the log scale before any hint, as ``depth_hint_prior``.
        :param any_scale: take hints too whose scale is no camera's.
        :param each: every image is by itself: what one says of the scale is of no other.
        :param ruler: where no hint tells the scale; None = no camera's height is known.
        """
        self._hints, self._prior, self._each = hints, prior, each
        self._any_scale = any_scale
        self._stream = HintStream(any_scale=any_scale)
        self._left_out: Counter[str] = Counter()
        self._figures: list[HintFigures] = []
        self._factors: list[float] = []
        self._ruler, self._grounds, self._asked = ruler, Counter[bool](), 0

    @property
    def contradiction(self) -> str:
        """Return :attr:`HintStream.contradiction`; of images by themselves no other's."""
        return '' if self._each else self._stream.contradiction

    def joined(self, image: InputImage, rgb: np.ndarray, prediction: Prediction, camera: Camera
               ) -> tuple[Prediction, HintFigures]:
        """
        Return the prediction with the image's hint, and what that is worth.

        :param rgb: rectified, where the camera's image is.
        """
        network = prediction.depth
        assert network is not None
        if self._each:
            self._stream = HintStream(any_scale=self._any_scale)
        hint = self._hint(image, camera)
        doubt = self._hints.doubt if self._hints else ''
        if doubt:  # As in the node.
            self._stream.forget_scale()
        joined = self._stream.join(prediction, rgb, hint, fx=camera.fx,
                                   prior=self._prior, now_s=image.header.stamp_ns / 1e9,
                                   ground=(self._ruler.of(prediction, camera)
                                           if self._ruler else None))
        if joined.problem:
            self._leave_out(image, joined.cause, joined.problem)
        if joined.ground is not None:
            self._note_ground(image, joined.ground)
        found = _figures(network, joined.hint) if self._hints else HintFigures(None, None)
        figures = replace(found, contradiction=doubt and f'depth hint: {doubt}'
                          or joined.contradiction or '')
        self._figures.append(figures)
        self._factors.append(joined.fused.belief.factor)
        return joined.prediction, figures

    def ground_summary(self) -> GroundSummary | None:
        """Return what the ground said; None where nobody asked it."""
        if self._ruler is None:
            return None
        said = GroundSummary(self._asked, self._grounds[True], self._grounds[False])
        return replace(said, scale_factors=self._spread()) if said.seen else said

    def summary(self) -> HintSummary | None:
        """Return the figures of all images; None where no depth camera is joined in."""
        if self._hints is None:
            return None
        hinted = [one for one in self._figures if one.abs_rel is not None]
        if not hinted:
            return HintSummary(len(self._figures), 0, left_out=dict(self._left_out))
        return HintSummary(
            len(self._figures), len(hinted), float(np.mean([one.holes or 0.0 for one in hinted])),
            float(np.mean([one.abs_rel or 0.0 for one in hinted])), self._spread(),
            dict(self._left_out))

    def _spread(self) -> tuple[float, float, float]:
        low, middle, high = (float(value) for value in np.percentile(self._factors, (10, 50, 90)))
        return low, middle, high

    def _note_ground(self, image: InputImage, word: GroundWord) -> None:
        """Count what the ground said, and say the first that is not believed."""
        self._asked += 1
        if word.reading is None:
            return
        self._grounds[not word.problem] += 1
        if word.problem and self._grounds[False] == 1:
            LOGGER.warning('%s: %s', image.name, word.problem)

    def _hint(self, image: InputImage, camera: Camera) -> DepthHint | None:
        try:
            return None if self._hints is None else self._hints.of(image, camera)
        except InputError as error:
            self._leave_out(image, 'unusable', str(error))
            return None

    def _leave_out(self, image: InputImage, cause: str, why: str) -> None:
        """Count it, and say the first of each kind."""
        self._left_out[cause] += 1
        if self._left_out[cause] == 1:
            LOGGER.warning('%s: depth hint is left out: %s', image.name, why)


def hint_line(summary: HintSummary) -> str:
    """Return a summary for people."""
    left_out = ''.join(f'; {count} left out ({cause})'
                       for cause, count in summary.left_out.items())
    if summary.network_abs_rel is None or summary.holes is None:
        return (f'depth hint: none of {summary.images} images has one (stamps, names?), and no '
                f'depth is corrected by it{left_out}')
    low, middle, high = summary.scale_factors
    return (f'depth hint: in {summary.with_hint} of {summary.images} images, '
            f'{100 * summary.holes:.0f} % of their pixels are holes; the network by itself is off '
            f'by abs rel {summary.network_abs_rel:.2f}, its metres are multiplied by '
            f'{middle:.2f} ({low:.2f} to {high:.2f}){left_out}')


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
