# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Maps go out beside the network: in order, never behind the flag, and no transition waits."""

from __future__ import annotations

from functools import partial
import threading
import time
from types import SimpleNamespace

from builtin_interfaces.msg import Time
from emu_perception.ros import image_messages
from emu_perception.ros.map_publishers import MapPublishers, MapsOut
from emu_perception.ros.node_statistics import Statistics
from emu_perception.ros.parameters import Settings
from emu_perception.ros.publishing_thread import MapSet, PublishingThread
from emu_perception.ros.stamps import stamp_age_s
from emu_perception.ros.timings import Timings
from node_bench import Bench, rgb_image, TIMEOUT_S
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Float32, Header


class Brake:
    """Holds every set of maps up while ``gate`` is closed; ``fails`` makes publishing fail."""

    def __init__(self, monkeypatch):
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.fails = None
        self.publish = MapPublishers.publish
        monkeypatch.setattr(MapPublishers, 'publish', lambda maps, *args: self(maps, *args))

    def __call__(self, *args):
        self.entered.set()
        assert self.gate.wait(3 * TIMEOUT_S)
        if self.fails is not None:
            raise self.fails
        return self.publish(*args)


@pytest.fixture
def brake(monkeypatch):
    """Return the brake of all nodes; it is off again before they end."""
    brake = Brake(monkeypatch)
    yield brake
    brake.gate.set()


def counts(bench: Bench) -> tuple[int, int, dict[str, int]]:
    parts = bench.diagnostics()
    drops = {key.removeprefix('dropped_'): int(value)
             for key, value in parts['inference'].items() if key.startswith('dropped_')}
    return int(parts['input']['received']), int(parts['inference']['processed']), drops


def every_image_is_counted(bench: Bench) -> bool:
    received, processed, drops = counts(bench)
    return received == processed + sum(drops.values())


def stuck(bench: Bench, brake: Brake, sec: int) -> None:
    """Have an image with this stamp stuck in publishing."""
    brake.gate.clear()
    brake.entered.clear()
    bench.until(brake.entered.is_set, send=rgb_image(sec=sec))


def test_network_and_flag_go_on_while_publishing_is_behind_and_the_newest_maps_are_next(
        make_bench, brake):
    bench = make_bench(parameters={'clear_after': 4})
    labels = bench.listen(Image, 'label')
    means = bench.listen(Float32, 'mean_depth_uncertainty')
    bench.until(lambda: labels, send=rgb_image(sec=1))
    stuck(bench, brake, sec=2)
    before, heard = len(bench.predictor.calls), len(means)
    for sec in range(3, 8):
        bench.until(lambda sec=sec: len(bench.predictor.calls) >= before + sec - 2,
                    send=rgb_image(sec=sec))
    bench.until(lambda: bench.risk() is False and len(means) >= heard + 5)
    bench.until(lambda: counts(bench)[2]['publishing_behind'] >= 4)
    assert all(label.header.stamp.sec < 2 for label in labels)
    brake.gate.set()
    bench.until(lambda: labels[-1].header.stamp.sec == 7)
    stamps = [label.header.stamp.sec for label in labels]
    assert stamps == sorted(stamps) and not {3, 4, 5} & set(stamps), 'an old set in place of a new'
    bench.until(lambda: every_image_is_counted(bench))


def test_deactivation_does_not_wait_and_nothing_of_the_old_session_comes_out(make_bench, brake):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image(sec=1))
    stuck(bench, brake, sec=99)
    calls = len(bench.predictor.calls)
    bench.until(lambda: len(bench.predictor.calls) > calls, send=rgb_image(sec=98))
    assert bench.transition('deactivate') and bench.transition('activate')
    brake.gate.set()
    bench.until(lambda: labels[-1].header.stamp.sec == 100, send=rgb_image(sec=100))
    assert not {98, 99} & {label.header.stamp.sec for label in labels}
    # The one that was stuck, and the one behind it.
    bench.until(lambda: counts(bench)[2]['deactivated'] >= 2)
    bench.until(lambda: every_image_is_counted(bench))


def test_cleanup_does_not_wait_for_publishing_and_the_next_round_works(make_bench, brake):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image(sec=1))
    stuck(bench, brake, sec=99)
    assert bench.transition('deactivate') and bench.transition('cleanup')
    assert bench.predictor.closed.wait(TIMEOUT_S), 'the network waits for its maps'
    assert bench.transition('configure') and bench.transition('activate')
    brake.gate.set()
    bench.until(lambda: labels[-1].header.stamp.sec == 100, send=rgb_image(sec=100))
    assert not any(label.header.stamp.sec == 99 for label in labels)
    assert counts(bench)[2]['failure'] == 0


def test_failure_to_publish_raises_the_flag_and_the_next_image_is_tried(make_bench, brake):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image(sec=1))
    bench.clear_risk()
    brake.fails = ValueError('no\nroom')
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'failure', send=rgb_image(sec=2))
    assert bench.diagnostics()['inference']['last_error'] == 'ValueError: no room'
    brake.fails = None
    bench.until(lambda: labels[-1].header.stamp.sec == 3, send=rgb_image(sec=3))
    bench.clear_risk()


def test_publishing_that_hangs_is_diagnosed_by_its_name(make_bench, brake, monkeypatch):
    monkeypatch.setattr('emu_perception.ros.diagnostics._HANGS_AFTER_S', 0.3)
    bench = make_bench()
    stuck(bench, brake, sec=1)
    bench.until(lambda: 'the publishing hangs' in bench.diagnostics()['inference']['message'])
    assert bench.diagnostics()['inference']['level'] == b'\x02'


def test_process_that_ends_says_whether_its_maps_are_out(make_bench, brake):
    bench = make_bench()
    stuck(bench, brake, sec=1)
    assert not bench.node.finish(0.2)
    brake.gate.set()
    assert bench.node._publishing.join(TIMEOUT_S)


class Publisher:
    """Publishes to nobody."""

    def publish(self, *_):
        return True


def test_the_turn_of_an_image_begins_when_the_one_before_is_done_with():
    statistics = Statistics()
    statistics.work_begins(7.0)
    statistics.work_ends(8.0)
    assert statistics.work_begins(8.1) == 8.0


def test_times_of_a_published_image_are_counted_with_those_of_its_publishing():
    statistics, done = Statistics(), threading.Event()
    counted = statistics.processed
    statistics.processed = lambda *args: (counted(*args), done.set())
    node = SimpleNamespace(get_clock=lambda: SimpleNamespace(
        now=lambda: SimpleNamespace(nanoseconds=0)))
    publishing = PublishingThread(node, SimpleNamespace(is_current=lambda _: True), statistics,
                                  None, None)
    now = time.monotonic()
    timings = Timings(now - 2.5, now - 2.0, now - 1.9, now - 1.8, now - 0.1, now, {'network': 9.0})
    publishing.offer(MapSet(
        session=1, frame=SimpleNamespace(header=Header()), prediction=None, state=None,
        settings=Settings(), maps=Publisher(), timings=timings))
    assert done.wait(TIMEOUT_S)
    publishing.stop()
    times = statistics.snapshot(time.monotonic()).times_ms
    assert set(timings.published(0.0, 0.0)) <= set(times) and times['network_time_ms'] == 9.0
    assert times['publish_time_ms'] >= 0 and times['handover_time_ms'] >= 0
    assert 'pipeline_latency_ms' not in times, 'an age by a clock that does not run'


def test_maps_that_wait_and_are_due_are_not_pushed_out_by_images_of_the_flag_alone():
    statistics, gate, entered, out = Statistics(), threading.Event(), threading.Event(), []

    class Slow:
        def publish(self, frame, *_):
            entered.set()
            assert gate.wait(TIMEOUT_S)
            out.append(frame.header.stamp.sec)
            return MapsOut.ALL
    node = SimpleNamespace(get_clock=lambda: SimpleNamespace(
        now=lambda: SimpleNamespace(nanoseconds=0)))
    publishing = PublishingThread(node, SimpleNamespace(is_current=lambda _: True), statistics,
                                  None, None)
    now = time.monotonic()

    def offer(sec, due):
        publishing.offer(MapSet(
            session=1, frame=SimpleNamespace(header=Header(stamp=Time(sec=sec))), prediction=None,
            state=None, settings=Settings(), maps=Slow(), due=due,
            timings=Timings(now, now, now, now, now, now, {})))
    offer(1, True)
    assert entered.wait(TIMEOUT_S)
    offer(2, True)
    offer(3, False)
    assert statistics.snapshot(now).counts['processed'] == 1, 'the flag of the third is out'
    gate.set()
    end = time.monotonic() + TIMEOUT_S
    while statistics.snapshot(now).counts['processed'] < 3:
        assert time.monotonic() < end, f'only {out} came out'
        time.sleep(0.01)
    publishing.stop()
    assert out == [1, 2]


@pytest.mark.parametrize('now_ns, stamp, expected', [
    (5_000_000_000, (4, 500_000_000), 0.5), (0, (4, 0), None), (5_000_000_000, (0, 0), None)])
def test_age_is_told_only_where_stamp_and_clock_are(now_ns, stamp, expected):
    node = SimpleNamespace(get_clock=lambda: SimpleNamespace(
        now=lambda: SimpleNamespace(nanoseconds=now_ns)))
    assert stamp_age_s(node, Time(sec=stamp[0], nanosec=stamp[1])) == expected


@pytest.mark.parametrize('shape, dtype, encoding', [
    ((3, 5), np.uint8, 'mono8'), ((4, 6), np.float32, '32FC1'), ((5, 7, 3), np.uint8, 'rgb8'),
    ((6, 3), np.uint16, '16UC1')])
def test_published_bytes_are_those_of_the_message(monkeypatch, shape, dtype, encoding):
    from rclpy.serialization import deserialize_message
    pixels = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    header = Header(frame_id='eye', stamp=Time(sec=7, nanosec=8))
    publish = partial(image_messages.to_published_image, pixels, encoding, header)
    message = image_messages.to_image(pixels, encoding, header)
    data = publish()
    assert isinstance(data, bytes) and deserialize_message(data, Image) == message
    monkeypatch.setattr(image_messages, '_pixels_come_last', lambda: False)
    assert publish() == message, 'a middleware that writes otherwise'


def test_latency_is_told_for_stamps_of_this_clock_alone(make_bench):
    bench = make_bench()
    bench.until(lambda: int(bench.diagnostics()['inference']['processed']) > 0,
                send=rgb_image(sec=1234))
    assert bench.diagnostics()['inference']['pipeline_latency_ms'] == 'n/a'
    assert 'stamps' in bench.node._log._said_s
    now = bench.helper.get_clock().now().to_msg()
    image = rgb_image(sec=now.sec, nanosec=now.nanosec)
    bench.until(lambda: bench.diagnostics()['inference']['pipeline_latency_ms'] != 'n/a',
                send=image)
    assert 0 < float(bench.diagnostics()['inference']['pipeline_latency_ms']) < 3.6e6
