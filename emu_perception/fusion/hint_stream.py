# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A depth camera, or the ground, joined into image after image: in node and ``emu_run`` alike."""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.fusion.belief import ScaleBelief
from emu_perception.fusion.contradiction import OFF
from emu_perception.fusion.frozen_hints import FrozenHints
from emu_perception.fusion.ground import Ground, GROUND_SIGMA, GroundWord, heard
from emu_perception.fusion.hint import DepthHint
from emu_perception.fusion.hints_in_turn import HintsInTurn
from emu_perception.fusion.joining import Fused
from emu_perception.fusion.predictions import fused_prediction
from emu_perception.prediction import Prediction
import numpy as np

# What becomes of a hint that is one of its image.
USED, REFUSED, EMPTY, FROZEN, CONTRARY = 'used', 'refused', 'empty', 'frozen', 'contrary'
_OTHER_FOCAL = 0.05


@dataclass(frozen=True)
class JoinedImage:
    """
    One image with its depth camera.

    :ivar hint: that was joined in; None where none was.
    :ivar cause: what became of the hint, ``USED`` or why it was left out; '' where there was none.
    :ivar problem: in one line why it was left out.
    :ivar contradiction: in one line that it, or the ground, was refused as far nearer than the
        network, or it as one of two depth cameras; '' where it was taken; None where it tells
        nothing of that, as one that is far farther.
    :ivar ground: what the ground said of an image whose scale no hint tells; None where nobody
        asked it.
    """

    prediction: Prediction
    fused: Fused
    hint: DepthHint | None
    cause: str = ''
    problem: str = ''
    contradiction: str | None = None
    ground: GroundWord | None = None


class HintStream:
    """
    Keeps what is known of the network's scale from image to image.

    :param any_scale: take a hint whose scale is no camera's too.
    """

    def __init__(self, *, any_scale: bool = False) -> None:
        """Know nothing of the scale yet."""
        self._any_scale = any_scale
        self.forget_scale()
        self._at_s = 0.0
        self._frozen, self._turns = FrozenHints(), HintsInTurn()
        self._of_hint = self._of_ground = ''

    def forget_scale(self) -> None:
        """Know nothing of the scale any more; what hints have contradicted stays known."""
        self._belief = ScaleBelief.before()
        # Focal length, then height, width, prior, network, what is said of the ground.
        self._known_for: tuple[float, tuple[object, ...]] = (0.0, ())

    @property
    def contradiction(self) -> str:
        """
        Return in one line why a hint, or the ground, was refused; '' else.

        As far nearer, or a hint as contrary to those before, until one is taken again, of the same
        kind; what the ground said, a hint that is taken settles too, before which nobody asks the
        ground, and that its height is said no more. Which of the two is wrong is not known, and
        what is nearer may be a wall. One that is far farther is refused too, and raises nothing:
        its metres would have been the less careful ones; but it takes nothing back.
        """
        return self._of_hint or self._of_ground

    def join(self, prediction: Prediction, rgb: np.ndarray, hint: DepthHint | None, *, fx: float,
             prior: float, now_s: float, contradictions: str = OFF, widening: float = 1.0,
             network: int = 0, ground: Ground | None = None) -> JoinedImage:
        """
        Return the prediction with what the depth camera saw, or with the scale that is held.

        :param hint: aligned to ``rgb``; None = there is none.
        :param fx: pixels, by which the prediction is scaled: at another focal length (by more than
            a twentieth: less is lost in what each image is off by) or size, as at another prior,
            mounting of the camera or kind of ground, nothing is known.
        :param prior: standard deviation of the log scale before any hint.
        :param now_s: any clock, seconds.
        :param network: a number of the one that predicted: of another's scale nothing is known.
            What the depth camera has sent stays known, and that it contradicts.
        :param ground: of the image, which tells the scale where no hint does, be it that it sees
            too little or is refused; not while that is known better than the ground tells it, as
            for some ten seconds after a hint. None = the camera's height is not known.
        """
        before, rest = self._known_for
        now = (*rgb.shape[:2], prior, network, ground and ground.told_by)
        if abs(fx - before) > _OTHER_FOCAL * fx or rest != now:
            self._known_for = (fx, now)
            self._belief = ScaleBelief.before(prior)
        else:
            self._belief = self._belief.after(now_s - self._at_s)
        self._at_s = now_s
        cause, problem = '', ''
        if hint is not None:
            cause, problem = self._objection(hint, rgb, now_s)
        if cause == CONTRARY:  # Nor is what such hints have said of the scale believed.
            self._belief = ScaleBelief.before(prior)
        used = None if problem else hint

        def fuse() -> tuple[Prediction, Fused]:
            return fused_prediction(prediction, rgb, used, self._belief, contradictions, widening,
                                    self._any_scale)
        found = None if used is None else fuse()
        word = None
        if ground is None:
            self._of_ground = ''
        elif found is not None and found[1].reading is not None and not found[1].refused:
            self._of_ground = ''
        elif self._belief.sigma >= GROUND_SIGMA:
            word, found = self._heard(prediction, ground), None
        joined, fused = found or fuse()
        self._belief = fused.belief
        if fused.refused:
            cause, problem = REFUSED, refusal(fused)
        contradiction = (f'depth hint: {problem}' if cause == CONTRARY else
                         _contradiction(fused))
        if contradiction is not None:  # A missing, empty or refused hint takes nothing back.
            self._of_hint = contradiction
        return JoinedImage(joined, fused, None if problem else hint, cause, problem,
                           word.problem if word is not None and word.nearer else contradiction,
                           word)

    def _heard(self, prediction: Prediction, ground: Ground) -> GroundWord:
        assert prediction.depth is not None, 'the ground is for the task depth'
        word = heard(self._belief, prediction.depth, ground)
        self._belief = word.belief
        if word.reading is not None and (word.nearer or not word.problem):
            self._of_ground = word.problem
        return word

    def _objection(self, hint: DepthHint, rgb: np.ndarray, now_s: float) -> tuple[str, str]:
        if not hint.known.any():
            return EMPTY, 'it sees nothing, not a pixel of the image'
        contrary = self._turns.see(hint.depth, rgb, now_s)
        if contrary:
            return CONTRARY, contrary
        if self._frozen.frozen(hint.depth, rgb):
            return FROZEN, ('it has the same pixels as before, while the image has moved on: is '
                            'the depth camera frozen?')
        return USED, ''


def _contradiction(fused: Fused) -> str | None:
    if fused.reading is None:
        return None
    if not fused.refused:
        return ''
    return f'depth hint: {refusal(fused)}' if fused.reading.log_factor < 0.0 else None


def refusal(fused: Fused) -> str:
    """Return in one line why a hint of an implausible scale was refused."""
    assert fused.reading is not None, 'it is refused for what it says'
    return (f'it sees {fused.reading.factor:.2g} of the metres that the network says: '
            'are they metres (32FC1) or millimetres (16UC1)?')
