# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The risk flag: should whoever uses the maps of this camera stop trusting them now.

The monitor starts raised and fails safe: it is lowered only by images that arrive, can be used,
and about which the network is certain. It has no clock of its own; callers pass the time of a
steady clock, so that the same code runs in the node, offline and in tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
import math

from emu_perception.errors import InputError
from emu_perception.scores import SCORES


class RiskReason(str, Enum):
    """Why the flag is raised. ``uncertain`` is the model's own voice; all others are faults."""

    NONE = 'none'
    UNCERTAIN = 'uncertain'
    NO_IMAGE = 'no_image'
    STALE = 'stale'
    NO_CALIBRATION = 'no_calibration'
    MISCALIBRATED = 'miscalibrated'
    UNUSABLE_INPUT = 'unusable_input'
    FAILURE = 'failure'
    INACTIVE = 'inactive'


@dataclass(frozen=True)
class RiskThresholds:
    """
    Largest scores of an image that is still trusted.

    :ivar by_score: by name of the score, in its unit; a score that is left out is not judged.
    :raises InputError: if a name is none of ``scores.SCORES`` or a value not above 0.
    """

    by_score: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every entry, and keep a copy that nobody else can change."""
        for name, value in self.by_score.items():
            if name not in SCORES:
                raise InputError(f'risk threshold {name} is of no score: give some of '
                                 f'{", ".join(SCORES)}')
            if not (math.isfinite(value) and value > 0):
                raise InputError(f'risk threshold {name} is {value}: give a number above 0')
        object.__setattr__(self, 'by_score', dict(self.by_score))


@dataclass(frozen=True)
class RiskState:
    """
    The flag with its reason and figures, as of the last event.

    :ivar scores: of the image, by name; none after an event that is no image.
    :ivar largest: the largest of the scores that are judged, each divided by its threshold:
        above 1 it raises. None where none is judged.
    :ivar largest_of: the name of that score.
    :ivar fault: whether the image itself, if there is one, has a fault that its scores do not
        show, as being old or of an unknown lens.
    """

    raised: bool
    reason: RiskReason
    detail: str
    scores: Mapping[str, float] = field(default_factory=dict)
    largest: float | None = None
    largest_of: str = ''
    fault: bool = False

    @property
    def certain(self) -> bool:
        """Tell whether the image by itself is to be believed, whatever the flag says."""
        return not self.fault and (self.largest is None or self.largest <= 1.0)


class RiskMonitor:
    """
    Turns the scores of successive images into one flag with hysteresis.

    Raised after ``raise_after`` uncertain images in a row, or at once by a fault; lowered after
    ``clear_after`` usable images in a row whose scores are all at most ``clear_below`` of their
    thresholds, whatever raised it. An image between the two leaves the flag as it is and ends both
    counts. Between ``deactivate`` and ``activate``, and before the first ``activate``, it stays
    raised whatever is reported.
    """

    def __init__(self, thresholds: RiskThresholds, *, expected: Collection[str] = (),
                 chosen: Collection[str] = (), raise_after: int = 1, clear_after: int = 3,
                 clear_below: float = 0.9, stale_after_s: float = 1.0) -> None:
        """
        Start raised, with reason ``inactive``.

        :param thresholds: the scores above which an image counts as uncertain.
        :param expected: names of the scores that the network gives for every image: one that is
            missing is a failure, whether it has a threshold or not.
        :param chosen: names of the scores that are to judge, whatever else there is: one without a
            threshold is a failure too, for it would judge nothing. Empty: all that have one.
        :param raise_after: uncertain images in a row that raise the flag, at least 1.
        :param clear_after: certain images in a row that lower it, at least 1.
        :param clear_below: share of a threshold that no score of such an image exceeds, above 0
            and at most 1, where there is no gap between raising and clearing.
        :param stale_after_s: seconds without a processed image until the flag is raised, above 0.
        :raises InputError: if a value is out of its range.
        """
        self.configure(thresholds=thresholds, expected=expected, chosen=chosen,
                       raise_after=raise_after, clear_after=clear_after, clear_below=clear_below,
                       stale_after_s=stale_after_s)
        self._uncertain_run = 0
        self._certain_run = 0
        self._last_event_s: float | None = None
        self._active = False
        self._state = RiskState(True, RiskReason.INACTIVE, 'not active')

    def configure(self, *, thresholds: RiskThresholds | None = None,
                  expected: Collection[str] | None = None, chosen: Collection[str] | None = None,
                  raise_after: int | None = None, clear_after: int | None = None,
                  clear_below: float | None = None, stale_after_s: float | None = None) -> None:
        """Change settings while running; counts and flag are kept. Nothing changes on error."""
        for name, count in (('raise_after', raise_after), ('clear_after', clear_after)):
            if count is not None and count < 1:
                raise InputError(f'{name} is {count}: give a count of images of at least 1')
        if clear_below is not None and not 0 < clear_below <= 1:
            raise InputError(f'clear_below is {clear_below}: give a share of the thresholds above '
                             '0 and at most 1')
        if stale_after_s is not None and not stale_after_s > 0:
            raise InputError(f'stale_after_s is {stale_after_s}: give seconds above 0')
        if thresholds is not None:
            self.thresholds = thresholds
        if expected is not None:
            self.expected = tuple(expected)
        if chosen is not None:
            self.chosen = tuple(chosen)
        if raise_after is not None:
            self.raise_after = raise_after
        if clear_after is not None:
            self.clear_after = clear_after
        if clear_below is not None:
            self.clear_below = clear_below
        if stale_after_s is not None:
            self.stale_after_s = stale_after_s

    @property
    def state(self) -> RiskState:
        """Return the flag as of the last event."""
        return self._state

    def activate(self) -> RiskState:
        """Start to wait for the first image: raised with reason ``no_image`` until it counts."""
        self._uncertain_run = self._certain_run = 0
        self._last_event_s = None
        self._active = True
        return self._raise(RiskReason.NO_IMAGE, 'no image processed yet')

    def deactivate(self) -> RiskState:
        """Raise with reason ``inactive``: nobody looks at the camera now."""
        self._uncertain_run = self._certain_run = 0
        self._active = False
        return self._raise(RiskReason.INACTIVE, 'not active')

    def observe(self, scores: Mapping[str, float], now_s: float, *,
                reason: RiskReason = RiskReason.NONE, detail: str = '') -> RiskState:
        """
        Take in one processed image.

        :param scores: by name, each in its unit.
        :param now_s: steady clock, seconds.
        :param reason: what speaks against the image whatever its scores are, and raises at once:
            ``stale``, or ``no_calibration``, whose scores in metres mean nothing and are left
            out; ``detail`` says more.
        """
        if not self._active:
            return self._state
        problem = problem_of(scores, self.expected) or self._unjudged()
        if reason is RiskReason.NO_CALIBRATION:
            scores = {name: value for name, value in scores.items() if not SCORES[name].in_metres}
        if problem:
            return self._fault(RiskReason.FAILURE, problem, now_s, scores)
        if reason is not RiskReason.NONE:
            return self._fault(reason, detail, now_s, scores)
        self._last_event_s = now_s
        excess = self._excess(scores)
        if excess:
            self._certain_run = 0
            self._uncertain_run += 1
            if self._uncertain_run >= self.raise_after:
                return self._raise(RiskReason.UNCERTAIN, excess, scores)
            return self._hold(f'{excess} ({self._uncertain_run} of {self.raise_after} images)',
                              scores)
        self._uncertain_run = 0
        near = self._near(scores)
        if near:
            self._certain_run = 0
            return self._hold(near, scores)
        self._certain_run += 1
        if self._certain_run >= self.clear_after or not self._state.raised:
            return self._become(False, RiskReason.NONE, 'certain', scores)
        return self._hold(f'certain for {self._certain_run} of {self.clear_after} images', scores)

    def unusable_input(self, detail: str, now_s: float) -> RiskState:
        """Raise at once: an image arrived that cannot be used."""
        return self._fault(RiskReason.UNUSABLE_INPUT, detail, now_s, {})

    def failure(self, detail: str, now_s: float) -> RiskState:
        """Raise at once: inference failed."""
        return self._fault(RiskReason.FAILURE, detail, now_s, {})

    def begin_anew(self, detail: str) -> RiskState:
        """Raise with reason ``stale`` until images have come as after ``activate``."""
        if not self._active:
            return self._state
        self._uncertain_run = self._certain_run = 0
        self._last_event_s = None
        return self._raise(RiskReason.STALE, detail)

    def check(self, now_s: float) -> RiskState:
        """Raise with reason ``stale`` if nothing has come for ``stale_after_s``."""
        if not self._active or self._last_event_s is None:
            return self._state
        age_s = now_s - self._last_event_s
        if age_s > self.stale_after_s:
            self._uncertain_run = self._certain_run = 0
            return self._raise(RiskReason.STALE, f'no image for {age_s:.1f} s')
        return self._state

    def _unjudged(self) -> str:
        """Say which scores are to judge and cannot; '' where all can."""
        names = [name for name in self.chosen if name not in self.thresholds.by_score]
        if not names:
            return ''
        return (f'risk_scores names {", ".join(names)}, of which there is no threshold: set '
                f'{", ".join(SCORES[name].parameter for name in names)}, or calibrate')

    def _shares(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Return the scores that are judged, each divided by its threshold."""
        return {name: scores[name] / limit for name, limit in self.thresholds.by_score.items()
                if name in scores}

    def _excess(self, scores: Mapping[str, float]) -> str:
        # Above the threshold exactly where the quotient, rounded, is above 1.
        shares = self._shares(scores)
        return ', '.join(row.text(scores[name], self.thresholds.by_score[name])
                         for name, row in SCORES.items() if shares.get(name, 0.0) > 1.0)

    def _near(self, scores: Mapping[str, float]) -> str:
        """Say which scores are below their threshold, but not by enough to lower the flag."""
        return ', '.join(
            f'{SCORES[name].text(scores[name])} is above {self.clear_below:g} of its threshold '
            f'{self.thresholds.by_score[name]:.3f}'
            for name, share in self._shares(scores).items() if share > self.clear_below)

    def _fault(self, reason: RiskReason, detail: str, now_s: float,
               scores: Mapping[str, float]) -> RiskState:
        if not self._active:
            return self._state
        self._uncertain_run = self._certain_run = 0
        self._last_event_s = now_s
        return self._become(True, reason, detail, scores, fault=True)

    def _raise(self, reason: RiskReason, detail: str,
               scores: Mapping[str, float] | None = None) -> RiskState:
        return self._become(True, reason, detail, scores or {})

    def _hold(self, detail: str, scores: Mapping[str, float]) -> RiskState:
        return self._become(self._state.raised, self._state.reason, detail, scores)

    def _become(self, raised: bool, reason: RiskReason, detail: str,
                scores: Mapping[str, float], *, fault: bool = False) -> RiskState:
        # A score that is no number is larger than any: it is what raised.
        shares = {name: math.inf if math.isnan(share) else share
                  for name, share in self._shares(scores).items()}
        largest_of = max(shares, key=shares.__getitem__, default='')
        self._state = RiskState(raised, reason, detail, dict(scores),
                                shares.get(largest_of), largest_of, fault)
        return self._state


def problem_of(scores: Mapping[str, float], expected: Collection[str]) -> str:
    """
    Return why an image cannot be judged by its scores, in which case its maps mislead too, or ''.

    :param expected: names of the scores that the network gives for every image.
    """
    missing = [name for name in expected if name not in scores]
    if missing:
        return f'the prediction lacks the score {", ".join(missing)}'
    if not scores:
        return 'the prediction has no uncertainty'
    if all(map(math.isfinite, scores.values())):
        return ''
    return 'a score is not finite: ' + ', '.join(
        f'{name} {value}' for name, value in scores.items())
