# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Image by image: read, predict, judge, as the node's pipeline does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import logging
from typing import Any

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.source import InputImage
from emu_perception.cameras.two_views import TwoViews
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.commands.hint_track import HintFigures, HintTrack
from emu_perception.commands.promised_maps import PromisedMaps
from emu_perception.commands.result import Result
from emu_perception.commands.risk_track import RiskTrack
from emu_perception.commands.truth import Truth, TruthFolder
from emu_perception.errors import InputError, text_of
from emu_perception.intrinsics import scale_problem
from emu_perception.objection import objection
from emu_perception.predicts import predict, Predicts
from emu_perception.region import Region
from emu_perception.risk import problem_of, RiskReason
from emu_perception.shown import Look, Shown
import numpy as np

LOGGER = logging.getLogger('emu_perception')


class Runner:
    """
    Turns images into results; whatever is wrong with one raises its flag and is counted.

    :param look: of what is given of each image.
    :param at_network_size: maps at the network's size instead of the image's.
    :param unknown_label_entropy: nats; labels become 255 where the entropy is above; 0: off.
    :param score_region: part of each image that its scores are the means over; None = all.
    :param promised: maps that are asked for.
    :param hints: of a depth camera that is joined in; None = there is none.
    :param truths: what is true of the images; None = nobody knows.
    :param views: of a stream, whether it is of one camera; None = each image is by itself.
    :ivar unusable: images that could not be read or inferred: of each reason the first one's name
        and how many there were.
    """

    def __init__(self, predictor: Predicts, risk: RiskTrack, cameras: CameraChoice, look: Look, *,
                 at_network_size: bool, unknown_label_entropy: float,
                 score_region: Region | None, promised: PromisedMaps,
                 hints: HintTrack | None = None,
                 truths: TruthFolder | None = None, views: TwoViews | None = None) -> None:
        self._predictor, self._risk, self._cameras, self._look = predictor, risk, cameras, look
        self._at_network_size = at_network_size
        self._unknown_label_entropy, self._score_region = unknown_label_entropy, score_region
        self._promised, self._hints, self._truths = promised, hints, truths
        self._views = views
        self.unusable: dict[str, tuple[str, int]] = {}

    def results(self, images: Iterator[InputImage]) -> Iterator[Result]:
        """
        Yield the result of each image.

        :raises InputError: if the input as a whole cannot be used.
        """
        before_ns = None
        for index, image in enumerate(images):
            self._risk.pass_gap(image.gap_s)
            stale_ns = (before_ns or 0) + round(self._risk.stale_after_s * 1e9)
            before_ns = image.header.stamp_ns
            yield self._result(index, image, min(stale_ns, before_ns))

    def _result(self, index: int, image: InputImage, stale_ns: int) -> Result:
        rgb: np.ndarray | None = None
        camera: Camera | None = None
        shown: Shown | None = None
        figures: HintFigures | None = None
        truth: Truth | None = None
        went_stale = self._risk.went_stale
        try:
            rgb = image.read()
        except InputError as error:
            state = self._fault(image, RiskReason.UNUSABLE_INPUT, str(error))
            return Result(index, image, None, None, None, state, went_stale, stale_ns)
        if self._views is not None and (
                two := self._views.see(rgb, image.header.stamp_ns / 1e9)):
            LOGGER.warning('%s: %s', image.name, two.text)
            self._views = None  # Said once.
        height, width = rgb.shape[:2]
        # Metres need two cameras: this one and the training's.
        scale = scale_problem(self._predictor.metadata)
        camera = None if scale else self._cameras.camera_of(image, width, height)
        view = rgb if camera is None else camera.rectified(rgb)
        try:
            prediction = predict(self._predictor, view, fx=camera.fx if camera else None,
                                 at_network_size=self._at_network_size,
                                 unknown_label_entropy=self._unknown_label_entropy,
                                 score_region=self._score_region)
        except InputError as error:
            state = self._fault(image, RiskReason.UNUSABLE_INPUT, str(error))
        except RuntimeError as error:  # Out of memory, and what else a driver may say.
            state = self._fault(image, RiskReason.FAILURE, text_of(error))
        else:
            misleads = problem_of(prediction.scores, self._predictor.metadata.score_names)
            # By what an earlier hint of a stream said too, whatever this one says: as in the node.
            contradiction = '' if self._hints is None else self._hints.contradiction
            if self._hints is not None and camera is not None and not misleads:
                prediction, figures = self._hints.joined(image, view, prediction, camera)
                contradiction = contradiction or figures.contradiction
            # Whoever reads the flag must not take metres of another lens for this one's.
            withheld = ''
            if camera is None and 'depth' in self._predictor.metadata.tasks:
                withheld = scale or self._cameras.problem or 'no camera'
            reason, detail = objection(withheld, miscalibrated=contradiction)
            state = self._risk.observe(prediction.scores, reason=reason, detail=detail)
            if misleads:
                self._count(image, state.detail)
            else:
                shown = Shown(view, prediction, state, replace(
                    self._look, promises=self._promised.of(state, camera)))
                if self._truths is not None and view is rgb:  # A rectified view is another image.
                    truth = self._truths.of(image.name, (height, width), image.apart_from_maps
                                            ).at(prediction.size)
        return Result(index, image, rgb, camera, shown, state, went_stale, stale_ns, figures,
                      truth)

    def _fault(self, image: InputImage, reason: RiskReason, detail: str) -> Any:
        self._count(image, detail)
        return self._risk.fault(reason, detail)

    def _count(self, image: InputImage, detail: str) -> None:
        if not self.unusable:
            LOGGER.warning('%s: %s; such images are left out, counted, and raise the risk flag',
                           image.name, detail)
        first, count = self.unusable.get(detail, (image.name, 0))
        self.unusable[detail] = first, count + 1
