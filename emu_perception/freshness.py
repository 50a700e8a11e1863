# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How old an image is by its stamp, and whether it is one that came before.

Nothing here has a clock of its own: callers pass the times, so that the same code runs in the node
and in tests.
"""

from __future__ import annotations

from dataclasses import dataclass

SAME_CLOCK_WITHIN_S = 3600.0
# What clocks of two machines that are kept in step may differ by. A stamp further ahead would
# outlive the timeouts of whoever compares it with the time, as Nav2 does.
FUTURE_S = 0.2
# Two quartz clocks drift apart by up to this, seconds a second: without it the images of a sensor
# with its own clock would grow old in hours.
_DRIFT = 2e-4
# Old images that come in between end sooner than this; a recording or a sensor that begins again
# goes on.
_RESTARTED_AFTER_S = 5.0
# Less than this is the slewing of a clock that is kept in step.
_JUMP_S = 0.1
# And beside the steady clock, which is not read at the same moment.
_JUMP_BESIDE_S = 1.0
_NS = 1e-9


@dataclass(frozen=True)
class Verdict:
    """
    What is to be said of an image's stamp.

    :ivar stale: why the image does not show the present; '' where it does, as far as one can tell.
    :ivar repeated: whether the stamp is the last one's: the image is to be dropped.
    :ivar unstamped: whether the stamp is 0, which tells nothing.
    :ivar age_s: None where it is not known.
    """

    stale: str = ''
    repeated: bool = False
    unstamped: bool = False
    age_s: float | None = None


class Freshness:
    """
    Judges the images of one activation by their stamps, in the order they are taken.

    The first stamp decides whether the stamps are of the node's clock, until that jumps:

    - of the node's clock: the age is the difference;
    - of another one, as a sensor's uptime: the age is how much the difference has grown over the
      smallest one seen, which says how far images lag behind the quickest.

    Where the node's clock jumps back (a simulation that begins again), that image is stale, and
    all begins anew with the next. Where it is set (a robot that starts in 1970 and hears of NTP),
    forward or back, that image is stale too, and the next decides again whose clock the stamps
    are of; but how far images lag is followed by the steady clock all the while and not forgotten.
    Stamps that stay within the hour of a clock that was set, and do not follow it, stay stale:
    who compares them with the time, or with another sensor's, would be misled.

    Where stamps of another clock jump back, images are stale for some seconds and then, if they
    go on from there, of a sensor or a recording that has begun again.
    """

    def __init__(self) -> None:
        """Begin without a decision."""
        self._last_stamp_ns: int | None = None
        self._judged_ns = 0
        self._judged_age_s = self._judged_steady_s = 0.0
        self._last_ros_ns: int | None = None
        self._last_steady_s = 0.0
        self._simulated = False
        self._same_clock: bool | None = None
        self._smallest_s: float | None = None
        self._smallest_at_s = 0.0
        self._restarted_s: float | None = None

    def observe(self, stamp_ns: int, now_ros_ns: int, now_steady_s: float, *,
                simulated: bool = False, max_age_s: float = 1.0) -> Verdict:
        """
        Judge the next image.

        :param stamp_ns: of its header; 0: unset.
        :param now_ros_ns: the node's clock, which stamps are compared with; 0: there is none yet.
        :param now_steady_s: steady clock, by which the stamps of another clock are judged.
        :param simulated: whether the node's clock is /clock: then it alone counts.
        :param max_age_s: the age from which on an image is stale.
        """
        if simulated != self._simulated:
            self._simulated, self._last_ros_ns = simulated, None
            self._begin()
        jumped_s = self._clock_jumped_s(now_ros_ns, now_steady_s)
        if jumped_s:
            self._same_clock = None
        if jumped_s and simulated:
            self._begin()
            self._last_stamp_ns = None  # A recording's first image is its last one again.
        last_ns = self._last_stamp_ns
        self._judged_ns, self._judged_steady_s = stamp_ns, now_steady_s
        if stamp_ns and stamp_ns == last_ns and not jumped_s:
            return Verdict(repeated=True)
        self._last_stamp_ns = stamp_ns or last_ns
        if simulated and not now_ros_ns:
            return Verdict('use_sim_time is set but there is no /clock: the age of images is not '
                           'known')
        if jumped_s and (simulated or not stamp_ns):
            return Verdict(_by_jump(jumped_s), unstamped=not stamp_ns)
        if not stamp_ns:
            return Verdict(unstamped=True)
        offset_s = (now_ros_ns - stamp_ns) * _NS
        # One of the moment of a jump may be of before: the next tells whose clock stamps are of.
        if self._same_clock is None and not jumped_s:
            self._same_clock = abs(offset_s) <= SAME_CLOCK_WITHIN_S
        lag_s = self._lag_s(stamp_ns, last_ns, now_ros_ns * _NS if simulated else now_steady_s,
                            max_age_s, max(offset_s, 0.0) if self._same_clock else 0.0)
        if jumped_s:
            return Verdict(_by_jump(jumped_s))
        if self._same_clock:
            self._judged_age_s = offset_s
            return Verdict(_by_age(offset_s, max_age_s), age_s=offset_s)
        return Verdict(_by_growth(lag_s, max_age_s, self._restarted_s is not None), age_s=lag_s)

    def age_s(self, now_ros_ns: int, now_steady_s: float) -> float | None:
        """
        Return how old the image judged last is by now; None where its stamp does not tell.

        The clocks as in :meth:`observe`.
        """
        if not self._judged_ns or self._same_clock is None:
            return None
        if self._same_clock:
            age_s = (now_ros_ns - self._judged_ns) * _NS
            # The clock may have been set back meanwhile.
            return age_s if self._simulated else max(
                age_s, self._judged_age_s + now_steady_s - self._judged_steady_s)
        now_s = now_ros_ns * _NS if self._simulated else now_steady_s
        return now_s - self._judged_ns * _NS - (self._smallest_s or 0.0)

    def _begin(self) -> None:
        self._same_clock = self._smallest_s = self._restarted_s = None

    def _clock_jumped_s(self, now_ros_ns: int, now_steady_s: float) -> float:
        """Return by how many seconds the node's clock has jumped, below 0: back; 0: it has not."""
        last_ns, self._last_ros_ns = self._last_ros_ns, now_ros_ns
        last_s, self._last_steady_s = self._last_steady_s, now_steady_s
        if last_ns is None:
            return 0.0
        step_s = (now_ros_ns - last_ns) * _NS
        if step_s < -_JUMP_S:
            return step_s
        beside_s = 0.0 if self._simulated else step_s - (now_steady_s - last_s)
        return beside_s if abs(beside_s) > _JUMP_BESIDE_S else 0.0

    def _lag_s(self, stamp_ns: int, last_ns: int | None, now_s: float, max_age_s: float,
               known_s: float) -> float:
        """
        Return how far an image lags behind the quickest, or by how much more than is known.

        :param known_s: what it lags by the node's clock: as much is no slowness of that clock.
        """
        if last_ns and (last_ns - stamp_ns) * _NS > max_age_s:
            self._restarted_s = now_s
        elif self._restarted_s is not None and now_s - self._restarted_s > _RESTARTED_AFTER_S:
            self._restarted_s = self._smallest_s = None
        lag_s = self._growth_s(now_s - stamp_ns * _NS - known_s, now_s)
        if lag_s <= max_age_s:
            self._restarted_s = None
        return lag_s

    def _growth_s(self, offset_s: float, now_s: float) -> float:
        smallest_s = offset_s
        if self._smallest_s is not None:
            drift_s = _DRIFT * max(0.0, now_s - self._smallest_at_s)
            smallest_s = min(offset_s, self._smallest_s + drift_s)
        self._smallest_s, self._smallest_at_s = smallest_s, now_s
        return offset_s - smallest_s


def _by_jump(jumped_s: float) -> str:
    return (f'the clock has jumped {"back" if jumped_s < 0 else "forward"} by {abs(jumped_s):.1f} '
            's: beginning anew')


def _by_age(age_s: float, max_age_s: float) -> str:
    if age_s > max_age_s:
        return f'the image is {age_s:.1f} s old (max_image_age_s is {max_age_s:g})'
    if age_s < -FUTURE_S:
        return (f'the image is stamped {-age_s:.1f} s ahead of the clock of this machine: keep '
                "the machines' clocks in step (chrony, PTP)")
    return ''


def _by_growth(age_s: float, max_age_s: float, restarted: bool) -> str:
    if age_s <= max_age_s:
        return ''
    if restarted:
        return (f'the stamps have jumped back by {age_s:.1f} s: they count again once they have '
                f'gone on from there for {_RESTARTED_AFTER_S:g} s')
    return (f'the image lags {age_s:.1f} s behind the quickest by the stamps of its own clock '
            f'(max_image_age_s is {max_age_s:g})')
