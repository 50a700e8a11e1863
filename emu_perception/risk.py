# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The risk flag: should whoever uses the maps of this camera stop trusting them now.

The monitor starts raised and fails safe: it is lowered only by images that arrive, can be used,
and about which the network is certain. It has no clock of its own; callers pass the time of a
steady clock, so that the same code runs in the node, offline and in tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
import math

from emu_perception.errors import InputError


class RiskReason(str, Enum):
    """Why the flag is raised. ``uncertain`` is the model's own voice; all others are faults."""

    NONE = 'none'
    UNCERTAIN = 'uncertain'
    NO_IMAGE = 'no_image'
    STALE = 'stale'
    UNUSABLE_INPUT = 'unusable_input'
    FAILURE = 'failure'
    INACTIVE = 'inactive'


@dataclass(frozen=True)
class RiskThresholds:
    """
    Largest mean uncertainty of an image that is still trusted; None = that task is not judged.

    :ivar segmentation: nats, for the mean of ``segmentation_entropy``.
    :ivar depth: metres, for the mean of ``depth_sigma``.
    """

    segmentation: float | None = None
    depth: float | None = None

    def __post_init__(self) -> None:
        for name in ('segmentation', 'depth'):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f'risk threshold {name} is {value}: give a number above 0')


@dataclass(frozen=True)
class RiskState:
    """The flag with its reason and figures, as of the last event."""

    raised: bool
    reason: RiskReason
    detail: str
    mean_segmentation_entropy: float | None = None
    mean_depth_sigma: float | None = None


class RiskMonitor:
    """
    Turns the mean uncertainties of successive images into one flag with hysteresis.

    Raised after ``raise_after`` uncertain images in a row, or at once by a fault; lowered after
    ``clear_after`` usable, certain images in a row, whatever raised it. Between ``deactivate`` and
    ``activate``, and before the first ``activate``, it stays raised whatever is reported.
    """

    def __init__(self, thresholds: RiskThresholds, *, raise_after: int = 1, clear_after: int = 3,
                 stale_after_s: float = 1.0) -> None:
        """
        Start raised, with reason ``inactive``.

        :param thresholds: the mean uncertainties above which an image counts as uncertain.
        :param raise_after: uncertain images in a row that raise the flag, at least 1.
        :param clear_after: certain images in a row that lower it, at least 1.
        :param stale_after_s: seconds without a processed image until the flag is raised, above 0.
        :raises InputError: if a value is out of its range.
        """
        self.configure(thresholds=thresholds, raise_after=raise_after, clear_after=clear_after,
                       stale_after_s=stale_after_s)
        self._uncertain_run = 0
        self._certain_run = 0
        self._last_event_s: float | None = None
        self._active = False
        self._state = RiskState(True, RiskReason.INACTIVE, 'not active')

    def configure(self, *, thresholds: RiskThresholds | None = None,
                  raise_after: int | None = None, clear_after: int | None = None,
                  stale_after_s: float | None = None) -> None:
        """Change settings while running; counts and flag are kept. Nothing changes on error."""
        for name, count in (('raise_after', raise_after), ('clear_after', clear_after)):
            if count is not None and count < 1:
                raise InputError(f'{name} is {count}: give a count of images of at least 1')
        if stale_after_s is not None and not stale_after_s > 0:
            raise InputError(f'stale_after_s is {stale_after_s}: give seconds above 0')
        if thresholds is not None:
            self.thresholds = thresholds
        if raise_after is not None:
            self.raise_after = raise_after
        if clear_after is not None:
            self.clear_after = clear_after
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

    def observe(self, mean_segmentation_entropy: float | None, mean_depth_sigma: float | None,
                now_s: float) -> RiskState:
        """
        Take in one processed image.

        :param mean_segmentation_entropy: nats, or None for a network without segmentation.
        :param mean_depth_sigma: metres, or None for a network without depth.
        :param now_s: steady clock, seconds.
        """
        if not self._active:
            return self._state
        means = (mean_segmentation_entropy, mean_depth_sigma)
        if all(mean is None for mean in means):
            return self.failure('the prediction has no uncertainty', now_s)
        if any(mean is not None and not math.isfinite(mean) for mean in means):
            return self.failure(f'a mean uncertainty is not finite: segmentation {means[0]} nat, '
                                f'depth {means[1]} m', now_s, *means)
        self._last_event_s = now_s
        excess = self._excess(*means)
        if excess:
            self._certain_run = 0
            self._uncertain_run += 1
            if self._uncertain_run >= self.raise_after:
                return self._raise(RiskReason.UNCERTAIN, excess, *means)
            return self._hold(f'{excess} ({self._uncertain_run} of {self.raise_after} images)',
                              *means)
        self._uncertain_run = 0
        self._certain_run += 1
        if self._certain_run >= self.clear_after or not self._state.raised:
            self._state = RiskState(False, RiskReason.NONE, 'certain', *means)
            return self._state
        return self._hold(f'certain for {self._certain_run} of {self.clear_after} images', *means)

    def unusable_input(self, detail: str, now_s: float) -> RiskState:
        """Raise at once: an image arrived that cannot be used."""
        return self._fault(RiskReason.UNUSABLE_INPUT, detail, now_s)

    def failure(self, detail: str, now_s: float, mean_segmentation_entropy: float | None = None,
                mean_depth_sigma: float | None = None) -> RiskState:
        """Raise at once: inference failed, or gave something that is no number."""
        return self._fault(RiskReason.FAILURE, detail, now_s, mean_segmentation_entropy,
                           mean_depth_sigma)

    def check(self, now_s: float) -> RiskState:
        """Raise with reason ``stale`` if nothing has come for ``stale_after_s``."""
        if not self._active or self._last_event_s is None:
            return self._state
        age_s = now_s - self._last_event_s
        if age_s > self.stale_after_s:
            self._uncertain_run = self._certain_run = 0
            return self._raise(RiskReason.STALE, f'no image for {age_s:.1f} s')
        return self._state

    def _excess(self, entropy: float | None, sigma: float | None) -> str:
        parts = []
        limits = self.thresholds
        if (entropy is not None and limits.segmentation is not None
                and entropy > limits.segmentation):
            parts.append(f'mean entropy {entropy:.3f} > {limits.segmentation:.3f} nat')
        if sigma is not None and limits.depth is not None and sigma > limits.depth:
            parts.append(f'mean depth sigma {sigma:.3f} > {limits.depth:.3f} m')
        return ', '.join(parts)

    def _fault(self, reason: RiskReason, detail: str, now_s: float, entropy: float | None = None,
               sigma: float | None = None) -> RiskState:
        if not self._active:
            return self._state
        self._uncertain_run = self._certain_run = 0
        self._last_event_s = now_s
        return self._raise(reason, detail, entropy, sigma)

    def _raise(self, reason: RiskReason, detail: str, entropy: float | None = None,
               sigma: float | None = None) -> RiskState:
        self._state = RiskState(True, reason, detail, entropy, sigma)
        return self._state

    def _hold(self, detail: str, entropy: float | None, sigma: float | None) -> RiskState:
        before = self._state
        self._state = RiskState(before.raised, before.reason, detail, entropy, sigma)
        return self._state
