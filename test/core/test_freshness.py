# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What stamps say of images, rule by rule."""

from __future__ import annotations

from emu_perception.freshness import Freshness
from emu_perception.frozen import FrozenPixels
from emu_perception.watch_clock import WatchClock
import numpy as np
import pytest

NOW_S = 1_700_000_000.0


def ns(seconds: float) -> int:
    return round(seconds * 1e6) * 1000


class Stream:
    """A camera whose stamps lag behind its own clock, seen by a node."""

    def __init__(self, *, offset_s: float = 0.0, simulated: bool = False, start_s: float = NOW_S):
        self.freshness, self.offset_s, self.simulated = Freshness(), offset_s, simulated
        self.start_s, self.time_s = start_s, 0.0

    def send(self, *, after_s: float = 0.1, lag_s: float = 0.05, stamp_s: float | None = None,
             clock_s: float | None = None, **options):
        self.time_s += after_s
        now_s = self.start_s + self.time_s if clock_s is None else clock_s
        if stamp_s is None:
            stamp_s = self.start_s + self.time_s - lag_s - self.offset_s
        return self.freshness.observe(ns(stamp_s), ns(now_s), 5.0 + self.time_s,
                                      simulated=self.simulated, **options)


def test_a_fresh_image_of_the_nodes_clock_has_its_age_and_is_not_stale():
    stream = Stream()
    verdict = stream.send(lag_s=0.25)
    assert verdict.stale == '' and not verdict.repeated and not verdict.unstamped
    assert verdict.age_s == pytest.approx(0.25)


@pytest.mark.parametrize(('lag_s', 'stale'), [
    (0.99, False), (1.01, True), (30.0, True), (-0.19, False), (-0.21, True)])
def test_of_the_nodes_clock_an_old_image_and_one_of_the_future_are_stale(lag_s, stale):
    stream = Stream()
    stream.send()
    assert bool(stream.send(lag_s=lag_s).stale) is stale


def test_the_first_image_is_judged_too():
    assert '30.0 s old' in Stream().send(lag_s=30.0).stale


def test_the_limit_is_the_callers():
    stream = Stream()
    assert not stream.send(lag_s=3.0, max_age_s=4.0).stale
    assert stream.send(lag_s=3.0, max_age_s=2.0).stale


def test_the_first_images_clock_is_kept_when_a_camera_loses_its_time():
    """A camera that restarts at its uptime is stale, not one of another clock."""
    stream = Stream()
    stream.send()
    assert all('s old' in stream.send(stamp_s=1.0 + index).stale for index in range(5))


def test_of_another_clock_the_age_is_the_growth_over_the_smallest_offset():
    stream = Stream(offset_s=NOW_S - 77.0)
    assert stream.send(lag_s=0.5).age_s == 0.0
    assert stream.send(lag_s=0.1).age_s == 0.0
    assert stream.send(lag_s=0.9).age_s == pytest.approx(0.8, abs=0.001)
    assert 'lags 1.3 s' in stream.send(lag_s=1.4).stale
    assert not stream.send(lag_s=0.1).stale


def test_another_clock_that_drifts_as_quartz_does_never_grows_old():
    stream = Stream(offset_s=NOW_S - 77.0)
    for _ in range(1000):
        stream.offset_s += 60 * 1e-4
        assert not stream.send(after_s=60.0).stale


def test_another_clock_that_begins_again_is_stale_and_followed_once_it_has_gone_on():
    stream = Stream(offset_s=NOW_S - 77.0)
    stream.send()
    stream.offset_s += 70.0
    for _ in range(50):
        assert 'stamps have jumped back by 70.0 s' in stream.send().stale
    stream.send()
    assert not stream.send().stale and stream.send(lag_s=1.25).stale


def test_of_another_clock_old_images_in_between_never_begin_anew():
    stream = Stream(offset_s=NOW_S - 77.0)
    stream.send()
    for _ in range(100):
        assert stream.send(lag_s=20.0).stale and not stream.send().stale


def test_one_wild_stamp_of_another_clock_does_not_make_all_later_ones_old():
    stream = Stream(offset_s=NOW_S - 77.0)
    stream.send()
    stream.send(lag_s=-500.0)
    found = [bool(stream.send().stale) for _ in range(60)]
    assert found[0] and not found[-1]


def test_stamp_zero_is_unstamped_and_neither_repeated_nor_decides_the_clock():
    stream = Stream()
    for _ in range(3):
        verdict = stream.send(stamp_s=0.0)
        assert verdict.unstamped and not verdict.repeated and not verdict.stale
        assert verdict.age_s is None
    assert stream.send(lag_s=0.25).age_s == pytest.approx(0.25)  # By the node's clock.


def test_the_same_stamp_again_is_repeated_also_after_an_unstamped_one():
    stream = Stream()
    assert not stream.send(stamp_s=NOW_S).repeated
    assert stream.send(stamp_s=NOW_S).repeated
    stream.send(stamp_s=0.0)
    assert stream.send(stamp_s=NOW_S).repeated and not stream.send().repeated


def test_simulated_time_alone_counts_for_the_age():
    stream = Stream(simulated=True, start_s=40.0)
    stream.send(clock_s=40.0, stamp_s=40.0)
    assert not stream.send(after_s=60.0, clock_s=40.5, stamp_s=40.1).stale
    assert stream.send(clock_s=42.0, stamp_s=40.2).stale


def test_another_clock_under_simulated_time_is_measured_by_it_too():
    stream = Stream(simulated=True)
    stream.send(clock_s=9000.0, stamp_s=10.0)
    assert not stream.send(after_s=60.0, clock_s=9000.5, stamp_s=10.4).stale
    assert 'lags 2.0 s' in stream.send(clock_s=9003.0, stamp_s=11.0).stale


def test_a_clock_that_jumps_back_begins_anew_and_is_stale_for_one_image():
    stream = Stream(simulated=True)
    stream.send(clock_s=9000.0, stamp_s=8999.9)
    stream.send(clock_s=9001.0, stamp_s=5.0)
    first = stream.send(clock_s=10.0, stamp_s=5.0)  # the last one's stamp, of another run
    assert 'the clock has jumped back by 8991.0 s' in first.stale and not first.repeated
    assert not stream.send(clock_s=10.1, stamp_s=10.05).stale


def test_an_image_of_before_the_clock_jumped_back_does_not_decide_whose_the_stamps_are():
    stream = Stream(simulated=True)
    stream.send(clock_s=9000.0, stamp_s=8999.9)
    assert stream.send(clock_s=10.0, stamp_s=9000.0).stale  # it was on its way
    assert not stream.send(clock_s=10.1, stamp_s=10.0).stale
    assert all(stream.send(clock_s=now_s, stamp_s=now_s - 30.0).stale
               for now_s in (50.0, 60.0, 70.0)), 'a lag that stays was taken for the clock'


def test_without_a_simulated_clock_the_age_is_not_known_which_is_stale():
    stream = Stream(simulated=True)
    assert 'no /clock' in stream.send(clock_s=0.0, stamp_s=9000.0).stale
    assert not stream.send(clock_s=9001.0, stamp_s=9001.0).stale
    old = stream.send(clock_s=9032.0, stamp_s=9002.0)
    assert old.age_s == pytest.approx(30.0), 'taken for another clock, decided without one'


def test_switching_to_simulated_time_decides_anew():
    stream = Stream()
    stream.send()
    stream.simulated = True
    assert not stream.send(clock_s=12.0, stamp_s=11.9).stale


def test_watch_counts_steady_time_without_simulation():
    clock = WatchClock()
    assert [clock.advance(at_s, None)[0] for at_s in (50.0, 50.5, 53.0)] == [0.0, 0.5, 3.0]


def test_watch_counts_simulated_time_while_it_advances():
    clock = WatchClock()
    clock.advance(50.0, ns(10.0))
    for step in range(1, 101):
        now_s, _ = clock.advance(50.0 + 0.1 * step, ns(10.0 + 0.01 * step))
    assert now_s == pytest.approx(1.0)


def test_watch_counts_steady_time_when_the_simulation_stops_and_forgets_none_of_it():
    clock = WatchClock()
    clock.advance(50.0, ns(10.0))
    assert clock.advance(50.1, ns(10.1))[0] == pytest.approx(0.1)
    found = [clock.advance(50.1 + 0.1 * step, ns(10.1))[0] for step in range(1, 21)]
    assert found[4] == pytest.approx(0.1, abs=1e-6), 'a moment without a tick is no stop'
    assert found[-1] == pytest.approx(2.1)
    assert clock.advance(52.2, ns(10.2))[0] == pytest.approx(2.2)


def test_watch_counts_steady_time_before_there_is_a_clock_and_no_jump_when_it_begins():
    clock = WatchClock()
    clock.advance(50.0, 0)
    clock.advance(51.0, 0)
    assert clock.advance(51.1, ns(NOW_S)) == (pytest.approx(1.1), 0.0)


def test_watch_never_runs_back_and_says_by_how_much_the_clock_did():
    clock = WatchClock()
    clock.advance(50.0, ns(90.0))
    clock.advance(50.1, ns(90.1))
    assert clock.advance(50.2, ns(5.1)) == (pytest.approx(0.1), pytest.approx(85.0))
    assert clock.advance(50.3, ns(5.2)) == (pytest.approx(0.2), 0.0)


def test_the_same_pixels_are_counted_in_seconds_and_one_other_begins_anew():
    frozen = FrozenPixels()
    pixels = np.random.default_rng(0).integers(0, 256, 100_003, np.uint8)
    other = pixels.copy()
    other[-2] ^= 1  # between the samples that are looked at first
    shown = [(0.0, pixels), (1.0, pixels.copy()), (2.5, pixels.tobytes()), (3.0, other),
             (3.5, pixels), (4.0, pixels[:-1]), (5.0, pixels[:-1])]
    assert [frozen.same_for_s(data, at_s) for at_s, data in shown] == [
        0.0, 1.0, 2.5, 0.0, 0.0, 0.0, 1.0]


class Booted(Stream):
    """A robot without a clock of its own: it starts in 1970, and hears of NTP by and by."""

    def __init__(self, *, follows: bool = False):
        super().__init__(start_s=100.0)
        self.ahead_s, self.follows = 0.0, follows

    def send(self, *, lag_s: float = 0.05, **options):
        self.time_s += 0.1
        now_s = self.start_s + self.time_s
        stamp_s = now_s - lag_s + (self.ahead_s if self.follows else 0.0)
        return self.freshness.observe(ns(stamp_s), ns(now_s + self.ahead_s), 5.0 + self.time_s,
                                      **options)


@pytest.mark.parametrize('follows', [False, True])
@pytest.mark.parametrize('ahead_s', [NOW_S, -15.0])
def test_a_clock_that_is_set_is_stale_for_one_image_and_whose_the_stamps_are_is_seen_anew(
        follows, ahead_s):
    """Stamps of the uptime were the clock's before; stale for ever they would be now."""
    stream = Booted(follows=follows)
    assert not any(stream.send().stale for _ in range(20))
    stream.ahead_s = ahead_s
    word = 'forward' if ahead_s > 0 else 'back'
    assert f'the clock has jumped {word} by ' in stream.send().stale
    if follows or ahead_s == NOW_S:
        assert not any(stream.send().stale for _ in range(20))
        assert ('s old' in stream.send(lag_s=1.25).stale) is follows  # By the node's clock.
    else:  # Stamps that stay ahead of a clock outlive the timeouts of all who compare them.
        assert all('ahead of the clock' in stream.send().stale for _ in range(20))
    assert stream.send(lag_s=1.25).stale


@pytest.mark.parametrize('lag_s', [5.0, 30.0])
@pytest.mark.parametrize('before_s', [0.05, None])
def test_a_clock_that_is_set_hides_no_lag_that_was_there_before(lag_s, before_s):
    stream = Booted()
    for _ in range(20):
        stream.send(lag_s=lag_s if before_s is None else before_s)
    for step in range(500):  # More and more, as in a queue that grows.
        stream.send(lag_s=max(lag_s * step / 500, before_s or lag_s))
    stream.ahead_s = NOW_S
    assert all(stream.send(lag_s=lag_s).stale for _ in range(200))
    assert stream.send(lag_s=0.0).stale == ''


@pytest.mark.parametrize('back_s', [0.3, 7.0])
def test_stamps_of_another_clock_stay_late_when_the_nodes_is_set_back(back_s):
    stream = Stream(offset_s=NOW_S - 77.0)
    for step in range(100):
        stream.send(lag_s=0.04 * step)
    found = [stream.send(lag_s=4.0, clock_s=stream.start_s + stream.time_s - back_s).stale
             for _ in range(10)]
    assert 'jumped back' in found[0] and all('lags 4' in stale for stale in found[1:])


def test_a_clock_that_is_kept_in_step_does_not_jump_and_no_late_look_at_it_does():
    stream = Stream()
    for _ in range(20):  # Slewed by a twentieth, and read half a second late now and then.
        assert not stream.send(clock_s=NOW_S + 1.05 * stream.time_s + 0.1, lag_s=0.0).stale
    assert not stream.send(clock_s=NOW_S + stream.time_s + 0.7, lag_s=0.0).stale
    assert not stream.send(after_s=1.0).stale


def test_an_image_grows_older_while_it_is_worked_on_though_the_clock_is_set_back():
    stream = Stream()
    stream.send(lag_s=0.25)
    later_s = stream.time_s + 3.0
    assert stream.freshness.age_s(ns(NOW_S + later_s - 60.0), 5.0 + later_s) == pytest.approx(
        3.25, abs=0.001)


@pytest.mark.parametrize('offset_s', [0.0, NOW_S - 77.0])
def test_an_image_grows_older_while_it_is_worked_on(offset_s):
    stream = Stream(offset_s=offset_s)
    assert stream.freshness.age_s(ns(NOW_S), 5.0) is None
    stream.send(lag_s=0.0)
    stream.send(lag_s=0.25)
    later_s = stream.time_s + 3.0
    assert stream.freshness.age_s(ns(NOW_S + later_s), 5.0 + later_s) == pytest.approx(
        3.25, abs=0.001)
    stream.send(stamp_s=0.0)
    assert stream.freshness.age_s(ns(NOW_S + later_s), 5.0 + later_s) is None
