# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node's depth camera, or the ground, joined into its predictions, from image to image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
import math
import time

from emu_perception.cameras.camera import Camera
from emu_perception.cameras.depth_decoding import decode_depth
from emu_perception.cameras.rectified_depth import depth_in_view
from emu_perception.cameras.topics import says_rectified
from emu_perception.errors import InputError
from emu_perception.fusion import (
    CalibrationWatch,
    checked_hint,
    DepthHint,
    Ground,
    GroundWord,
    HintStream,
    unaligned,
)
from emu_perception.normal_distribution import Z90
from emu_perception.prediction import Prediction
from emu_perception.ros.depth_hints import DepthHints
from emu_perception.ros.logs import QuietLog
from emu_perception.ros.parameters import Settings
from emu_perception.ros.planner.mounted import mounting_of, silent_ground
from emu_perception.ros.stamps import nanoseconds
import numpy as np
from sensor_msgs.msg import CompressedImage, Image

_LOG_EVERY_S = 5.0
# What became of the ground of an image: as /diagnostics have it.
GROUND_CAUSES = _USED, _REFUSED, _UNSEEN = 'used', 'refused', 'unseen'


class HintFusion:
    """
    Joins the depth camera in, and where there is none the ground; for the worker's thread.

    What is known of the network's scale is kept from image to image. Whatever is wrong with a
    hint, the image goes out without it: with the scale that is held and an uncertainty that grows.

    :ivar hints: of the topic; None = no depth camera is joined in.
    :ivar ground_problem: in one line why the ground of the last image was not believed, or not
        asked; '' where all is well.
    """

    def __init__(self, hints: DepthHints | None, log: QuietLog) -> None:
        """Know nothing of the scale yet."""
        self.hints, self._log = hints, log
        self._stream, self._network = HintStream(), 0
        self._frame_id = ''
        self._said = ''
        self._watch = CalibrationWatch()
        self._watched_s = -math.inf
        self._contradicted = 0
        self._grounds: Counter[str] = Counter()
        self.ground_problem = ''

    @property
    def contradiction(self) -> str:
        """Return :attr:`HintStream.contradiction`, or that the hints are of two depth cameras."""
        doubt = self.hints.doubt if self.hints else ''
        return f'depth hint: {doubt}' if doubt else self._stream.contradiction

    @property
    def problem(self) -> str:
        """Return in one line what of the network does not hold against the hints, or ''."""
        return self._watch.problem

    def another_network(self, same_file: bool) -> HintFusion:
        """
        Return what joins the same hints to another network, of whose scale nothing is known.

        :param same_file: whether it only runs elsewhere, or otherwise: then all that was found
            holds on.
        """
        if same_file:
            return self
        found = HintFusion(self.hints, self._log)
        # Not copied: the last image of the old network may still be in work.
        found._stream, found._network = self._stream, self._network + 1
        return found

    @property
    def values(self) -> Mapping[str, object]:
        """Return what the diagnostics say of it."""
        scale = self._said or 'n/a'
        ground: dict[str, object] = {
            f'ground_{cause}': self._grounds[cause] for cause in GROUND_CAUSES
            } if self._grounds else {}
        if self.hints is None:
            return {'ground_scale': scale, **ground}
        counts, compared = self.hints.counts, math.isfinite(self._watched_s)
        return {'depth_hint_topic': self.hints.topic,
                **{f'depth_hint_{cause}': count for cause, count in counts.items()},
                'depth_hint_scale': scale,
                'depth_hint_contradicted_pixels': self._contradicted,
                'network_intervals_hold': self._watch.covered if compared else None,
                'sigma_widening': self._watch.widening,
                'miscalibrated': self._watch.problem or ('no' if compared else None), **ground}

    def expect(self, message: Image | CompressedImage, settings: Settings) -> None:
        """Note which image is in work; before the network runs."""
        stamp, self._frame_id = message.header.stamp, message.header.frame_id
        if self.hints is not None:
            self.hints.expect(nanoseconds(stamp), settings.depth_hint_slop_s)

    def fused(self, rgb: np.ndarray, prediction: Prediction, camera: Camera, received_s: float,
              settings: Settings, classes: Sequence[str] = ()) -> Prediction:
        """
        Return the prediction of the expected image with its hint, for which is waited a little.

        :param rgb: rectified, where that is done here.
        :param camera: by whose focal length the prediction is scaled: of another one nothing is
            known; and by whose maps a hint of the raw image is rectified.
        :param received_s: when the image arrived, steady clock.
        :param classes: of the network, by index.
        """
        hint = None if self.hints is None else self._hint_of(
            self.hints, rgb, camera, received_s + settings.depth_hint_wait_s)
        now_s = time.monotonic()
        widening = self._watch.widening if settings.adaptive_sigma else 1.0
        image = self._stream.join(
            prediction, rgb, hint, fx=camera.fx, prior=settings.depth_hint_prior, now_s=now_s,
            contradictions=settings.depth_hint_contradicted, widening=widening,
            network=self._network, ground=_ground(prediction, camera, settings, classes))
        joined = image.fused
        self._contradicted = joined.contradicted
        if image.problem:
            self._refuse(image.problem, image.cause)
        elif self.hints is not None and hint is not None:
            self.hints.used()
        self._note_ground(image.ground, silent_ground(settings) if settings.ground_scale else '')
        if joined.correction is not None:
            seen = joined.correction.compared
            self._watch = self._watch.after(seen.log_ratio, seen.relative / widening,
                                            now_s - self._watched_s)
            self._watched_s = now_s
        low, high = (joined.belief.factor * np.exp(sign * Z90 * joined.belief.sigma)
                     for sign in (-1, 1))
        self._said = f'{joined.belief.factor:.3f} ({low:.3f} to {high:.3f})'
        return image.prediction

    def _hint_of(self, hints: DepthHints, rgb: np.ndarray, camera: Camera, until_s: float
                 ) -> DepthHint | None:
        found, doubt = hints.take(until_s), hints.doubt
        if doubt:  # Nor is what the two of them have said of the scale until now believed.
            self._stream.forget_scale()
        if found is not None and doubt:
            self._refuse(doubt)
        return None if found is None or doubt else self._decoded(found, rgb, camera)

    def _decoded(self, message: Image, rgb: np.ndarray, camera: Camera) -> DepthHint | None:
        assert self.hints is not None, 'it is one of them'
        try:
            if problem := unaligned(message.header.frame_id, self._frame_id):
                raise InputError(problem)
            hint = checked_hint(decode_depth(message), None, (rgb.shape[0], rgb.shape[1]))
            return replace(hint, depth=depth_in_view(
                hint.depth, camera, rectified=says_rectified(self.hints.topic)))
        except InputError as error:
            self._refuse(str(error))
            return None

    def _note_ground(self, word: GroundWord | None, silent: str) -> None:
        if word is None:  # A hint tells the scale, or nobody can: what the ground said is past.
            self.ground_problem = silent
            return
        if word.reading is not None:  # An image without ground takes nothing back.
            self.ground_problem = word.problem
        self._grounds[_UNSEEN if word.reading is None else _REFUSED if word.problem
                      else _USED] += 1
        if word.problem:
            self._log.every(_LOG_EVERY_S, 'ground_scale', word.problem)

    def _refuse(self, why: str, cause: str = 'unusable') -> None:
        assert self.hints is not None, 'only a hint is refused'
        text = f'depth hint on {self.hints.topic} cannot be used: {why}'
        self.hints.left_out(text, cause)
        self._log.every(_LOG_EVERY_S, 'depth_hint', text)


def _ground(prediction: Prediction, camera: Camera, settings: Settings, classes: Sequence[str]
            ) -> Ground | None:
    """Return the ground of an image; None where nobody asks for its scale, or it is not known."""
    mounting = mounting_of(settings)
    if not settings.ground_scale or mounting is None or not settings.ground_classes:
        return None
    # While another model is loaded the parameters name its classes: this one's ground is unseen.
    names = [] if 'ground_classes' in settings.unfit(classes) else settings.ground_classes
    return Ground.of(prediction, camera, mounting, classes, names, settings.ground_min_confidence)
