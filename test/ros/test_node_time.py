# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Old, future, repeated and frozen images, and clocks that stop or jump, over DDS."""

from __future__ import annotations

import time

from emu_perception.ros import arrivals
from node_bench import now_image, rgb_image
import pytest
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image


def risk(bench):
    return bench.diagnostics()['risk']


def sent_until(bench, condition, make):
    """Send a new image each time until the condition holds; return its value."""
    return bench.until(lambda: condition() or bench.send(make()))


def clear(bench, make=None):
    sent_until(bench, lambda: bench.risk() is False, make or now_image)


def stale(bench, words, make):
    """Send until the flag is up for these words."""
    return sent_until(bench, lambda: bench.risk() is True and risk(bench)['reason'] == 'stale'
                      and words in risk(bench)['detail'] and risk(bench), make)


def test_fresh_images_lower_it_and_old_ones_raise_it_though_their_maps_go_out(make_bench):
    bench = make_bench(clocked=True)
    labels = bench.listen(Image, 'label')
    clear(bench)
    stale(bench, '30.', lambda: now_image(age_s=30.0))
    old = time.time() - 25
    bench.until(lambda: any(label.header.stamp.sec < old for label in labels))
    del bench.received['risk'][:]
    count = len(bench.predictor.calls)
    sent_until(bench, lambda: len(bench.predictor.calls) > count + 5,
               lambda: now_image(age_s=30.0))
    assert not any(flag.data is False for flag in bench.received['risk']), 'an old image cleared'
    clear(bench)


def test_a_limit_of_the_users_is_applied_live(make_bench):
    bench = make_bench(clocked=True)
    stale(bench, 'max_image_age_s is 1)', lambda: now_image(age_s=3.0))
    assert bench.set(max_image_age_s=5.0).successful
    clear(bench, lambda: now_image(age_s=3.0))


def test_an_image_of_the_future_raises_it(make_bench):
    bench = make_bench(clocked=True)
    clear(bench)
    stale(bench, 'ahead of the clock', lambda: now_image(age_s=-0.5))


def test_of_a_sensors_uptime_images_that_lag_behind_the_quickest_raise_it(make_bench):
    bench = make_bench(clocked=True)
    clear(bench, lambda: now_image(age_s=1e9))
    stale(bench, '2.0 s', lambda: now_image(age_s=1e9 + 2.0))
    clear(bench, lambda: now_image(age_s=1e9))


def test_the_first_images_clock_is_kept_until_the_next_activation(make_bench):
    bench = make_bench(clocked=True)
    clear(bench)
    stale(bench, 's old', lambda: now_image(age_s=1e9))
    assert bench.transition('deactivate') and bench.transition('activate')
    clear(bench, lambda: now_image(age_s=1e9))


def test_images_without_stamps_are_a_warning_and_not_the_same_again(make_bench):
    bench = make_bench(clocked=True)
    clear(bench, lambda: rgb_image(sec=0, nanosec=0))
    source = bench.diagnostics()['input']
    assert 'images have stamp 0' in source['warnings'] and source['level'] == b'\x01'
    assert bench.diagnostics()['inference']['dropped_same_stamp'] == '0'


def test_the_same_stamp_again_is_dropped_and_counted_and_does_not_feed_the_watchdog(make_bench):
    bench = make_bench(clocked=True, parameters={'stale_after_s': 0.5})
    clear(bench)
    image = now_image()
    sent_until(bench, lambda: bench.risk() is True, lambda: image)
    sent_until(bench, lambda: risk(bench)['reason'] == 'stale', lambda: image)
    count = len(bench.predictor.calls)
    sent_until(bench, lambda: int(bench.diagnostics()['inference']['dropped_same_stamp']) > 8,
               lambda: image)
    assert len(bench.predictor.calls) == count, 'inferred again'
    assert 'the stamp of the last image again' in bench.diagnostics()['input']['message']


def test_the_same_pixels_are_a_warning_and_raise_it_only_where_that_is_asked_for(
        make_bench, monkeypatch):
    monkeypatch.setattr(arrivals, 'WARN_AFTER_S', 0.3)
    bench = make_bench(clocked=True)
    sent_until(bench, lambda: 'the same pixels for' in bench.diagnostics()['input']['warnings'],
               now_image)
    clear(bench)
    assert bench.set(frozen_after_s=0.2).successful
    stale(bench, 'the same pixels for', now_image)


class Simulation:
    """Publishes /clock and images stamped by it."""

    def __init__(self, bench, now_s=100.0):
        self.bench, self.now_s = bench, now_s
        self.clock = bench.helper.create_publisher(Clock, '/clock', 1)

    def tick(self, step_s=0.05):
        self.now_s += step_s
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(round(self.now_s * 1e9), 10**9)
        self.clock.publish(message)
        time.sleep(0.02)

    def image(self, age_s=0.0, step_s=0.05):
        self.tick(step_s)
        sec, nanosec = divmod(round((self.now_s - age_s) * 1e9), 10**9)
        return rgb_image(sec=sec, nanosec=nanosec)


@pytest.fixture
def simulation(make_bench):
    bench = make_bench(clocked=True, parameters={'use_sim_time': True, 'frozen_after_s': 0.1})
    return Simulation(bench)


def test_under_simulated_time_the_age_is_by_its_clock_and_frozen_pixels_are_right(simulation):
    bench = simulation.bench
    clear(bench, simulation.image)
    # Pixels have been the same for longer than frozen_after_s.
    count = len(bench.predictor.calls)
    sent_until(bench, lambda: len(bench.predictor.calls) > count + 5, simulation.image)
    assert bench.risk() is False
    stale(bench, '3.0 s old', lambda: simulation.image(age_s=3.0))


def test_a_slow_simulation_is_not_silent_and_one_that_stops_is(simulation):
    bench = simulation.bench
    assert bench.set(stale_after_s=0.3).successful
    clear(bench, simulation.image)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        simulation.tick(0.003)
    assert bench.risk() is False, 'steady time counted while /clock advanced'
    bench.until(lambda: bench.risk() is True)
    bench.until(lambda: risk(bench)['reason'] == 'stale')


def test_silence_of_simulated_time_raises_it_in_simulated_seconds(simulation):
    bench = simulation.bench
    assert bench.set(stale_after_s=600.0).successful
    clear(bench, simulation.image)
    bench.until(lambda: simulation.tick(50.0) or bench.risk() is True)
    bench.until(lambda: 'no image for' in risk(bench)['detail'])


def test_a_clock_that_jumps_back_raises_it_at_once_and_all_begins_anew(simulation):
    bench = simulation.bench
    clear(bench, simulation.image)
    simulation.now_s = 5.0
    bench.until(lambda: simulation.tick() or bench.risk() is True)
    assert 'jumped back' in bench.until(lambda: risk(bench)['reason'] == 'stale'
                                        and risk(bench)['detail'])
    clear(bench, simulation.image)


def test_without_a_clock_the_age_is_not_known_and_it_stays_raised(make_bench):
    bench = make_bench(clocked=True, parameters={'use_sim_time': True})
    stale(bench, 'use_sim_time is set but there is no /clock', now_image)
    assert not any(flag.data is False for flag in bench.received['risk'])


@pytest.mark.parametrize('make', [now_image, lambda: now_image(age_s=1e9),
                                  lambda: rgb_image(sec=0, nanosec=0)])
def test_an_image_that_the_network_held_for_seconds_does_not_lower_it(make_bench, make):
    bench = make_bench(clocked=True, parameters={'clear_after': 1})
    clear(bench, make)
    bench.predictor.gate.clear()
    bench.predictor.entered.clear()
    sent_until(bench, bench.predictor.entered.is_set, make)
    bench.until(lambda: bench.risk() is True)
    time.sleep(0.2)
    del bench.received['risk'][:]
    bench.predictor.gate.set()
    assert 'when the network had answered' in bench.until(
        lambda: 'old' in risk(bench)['detail'] and risk(bench)['detail'])
    assert all(flag.data for flag in bench.received['risk'])
    clear(bench, make)
