# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Silence is risk: what a consumer with a timer of its own sees of a node, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
import signal
import threading
import time
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.risk import RiskReason
from emu_perception.risk_status import CODES
from emu_perception.ros.heartbeat import Heartbeat
from emu_perception.ros.raises import Raises
from node_bench import camera_info, FakePredictor, rgb_image, TIMEOUT_S
import pytest
import rclpy
from rclpy.duration import Duration
from rclpy.qos import (
    qos_profile_sensor_data,
    QoSDurabilityPolicy,
    QoSLivelinessPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Bool
from test_node_process import ONE_LOAD, Process
from visualization_msgs.msg import Marker

SILENCE_S = 1.0
LATCHED = QoSProfile(depth=20, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Consumer:
    """README's contract: the flag, or a second without one, means risk."""

    def __init__(self, topic: str = '/emu/risk') -> None:
        """Listen on a thread of its own."""
        self.node = rclpy.create_node('consumer')
        self.times: list[float] = []
        self.raised = True
        self.node.create_subscription(Bool, topic, self._take, LATCHED)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    @property
    def risk(self) -> bool:
        """Answer as a robot would act now."""
        return self.raised or time.monotonic() - self.times[-1] > SILENCE_S

    def longest_gap_s(self, since_s: float) -> float:
        """Return the longest silence from a moment on."""
        times = [since_s, *(one for one in self.times if one > since_s), time.monotonic()]
        return max(b - a for a, b in zip(times, times[1:]))

    def close(self) -> None:
        """End."""
        self._ending.set()
        self._thread.join(TIMEOUT_S)
        self.node.destroy_node()

    def _take(self, message: Bool) -> None:
        self.raised = message.data
        self.times.append(time.monotonic())

    def _spin(self) -> None:
        executor = rclpy.executors.SingleThreadedExecutor()
        executor.add_node(self.node)
        while not self._ending.is_set():
            executor.spin_once(timeout_sec=0.05)
        executor.remove_node(self.node)


@pytest.fixture
def consumer(ros: None) -> Iterator[Consumer]:
    """Return a consumer."""
    found = Consumer()
    yield found
    found.close()


@pytest.fixture
def process(domain_id: int) -> Iterator[Process]:
    """Return a node's process whose network answers at once."""
    found = Process(ONE_LOAD, domain_id, 'clear_after:=1', 'stale_after_s:=30.0')
    yield found
    found.process.send_signal(signal.SIGCONT)
    found.process.kill()
    found.process.wait()


def until(condition, *, meanwhile=lambda: None, timeout_s=40.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'not in time'
        meanwhile()
        time.sleep(0.05)


def lowered(consumer: Consumer, process: Process) -> None:
    process.until_said('active: reading')
    images = consumer.node.create_publisher(Image, 'image', 1)
    infos = consumer.node.create_publisher(CameraInfo, 'camera_info', 1)
    stamps = count(1000)

    def send():
        infos.publish(camera_info())
        images.publish(rgb_image(sec=next(stamps)))
    until(lambda: not consumer.risk, meanwhile=send)


@pytest.mark.parametrize('number', [signal.SIGSTOP, signal.SIGKILL])
def test_process_that_is_stopped_or_killed_is_risk_after_a_second(consumer, process, number):
    lowered(consumer, process)
    process.process.send_signal(number)
    at_s = time.monotonic()
    until(lambda: consumer.risk, timeout_s=SILENCE_S + 1.0)
    assert consumer.raised is False and time.monotonic() - at_s > SILENCE_S / 2, (
        'not by silence: the last flag was False')
    if number == signal.SIGSTOP:
        process.process.send_signal(signal.SIGCONT)
        heard = len(consumer.times)
        until(lambda: len(consumer.times) > heard + 2)


def test_flag_comes_while_configure_blocks_the_executor(make_bench, consumer):
    class Slow(FakePredictor):

        def load(self, *args, **options):
            time.sleep(3.0)
            return super().load(*args, **options)
    bench = make_bench(predictor=Slow(), active=False)
    until(lambda: consumer.times)
    at_s = time.monotonic()
    assert bench.transition('configure')
    assert time.monotonic() - at_s > 3.0
    assert consumer.longest_gap_s(at_s) < SILENCE_S and consumer.raised
    assert sum(at_s < one < at_s + 3.0 for one in consumer.times) >= 6, 'every 0.25 s'


def test_hung_network_is_raised_by_the_flags_own_thread_while_the_executor_is_blocked(
        make_bench, consumer):
    bench = make_bench(parameters={'stale_after_s': 0.5})
    bench.clear_risk()
    bench.hang()
    release = threading.Event()
    steady = bench.node._steady_timers
    bench.node.create_timer(0.01, lambda: release.wait(TIMEOUT_S), clock=steady[0].clock)
    until(lambda: consumer.raised)
    heard, at_s = len(consumer.times), time.monotonic()
    until(lambda: len(consumer.times) >= heard + 4)
    assert consumer.longest_gap_s(at_s) < SILENCE_S
    assert bench.node._risk.state.reason is RiskReason.STALE
    release.set()


QOS = {
    'default': QoSProfile(depth=10), 'sensor data': qos_profile_sensor_data, 'latched': LATCHED,
    'deadline of 1 s': QoSProfile(depth=1, deadline=Duration(seconds=1)),
    'liveliness': QoSProfile(depth=1, liveliness=QoSLivelinessPolicy.MANUAL_BY_TOPIC,
                             liveliness_lease_duration=Duration(seconds=1)),
    'automatic liveliness': QoSProfile(depth=1, liveliness=QoSLivelinessPolicy.AUTOMATIC,
                                       liveliness_lease_duration=Duration(seconds=2)),
    'best effort, latched off': QoSProfile(depth=1,
                                           reliability=QoSReliabilityPolicy.BEST_EFFORT)}


@pytest.mark.parametrize('name', QOS)
def test_subscribers_of_every_usual_kind_hear_the_flag(make_bench, name):
    bench = make_bench(active=False)
    heard = []
    bench.helper.create_subscription(Bool, '/emu/risk', heard.append, QOS[name])
    bench.until(lambda: len(heard) > 1)


def test_who_asks_for_more_than_is_promised_hears_nothing_as_the_readme_says(make_bench):
    bench = make_bench(active=False)
    heard, well = [], bench.listen(Bool, 'risk')
    bench.helper.create_subscription(
        Bool, '/emu/risk', heard.append,
        QoSProfile(depth=1, deadline=Duration(nanoseconds=500_000_000)))
    bench.until(lambda: len(well) > 4)
    assert not heard


def test_raised_flag_has_a_code_and_a_status_of_its_reasons_own_name(make_bench):
    bench = make_bench()
    arrays = bench.listen(DiagnosticArray, 'risk_status')

    def newest():
        return [(status.name, {pair.key: pair.value for pair in status.values}['code'])
                for status in arrays[-1].status] if arrays else []
    bench.until(lambda: newest() == [('emu: risk', '11'), ('emu: risk: no_image', '11')])
    bench.clear_risk()
    bench.until(lambda: newest() == [('emu: risk', '0')])
    assert bench.transition('deactivate')
    bench.until(lambda: newest() == [('emu: risk', '10'), ('emu: risk: inactive', '10')])


def test_every_reason_has_a_code_of_its_own():
    assert set(CODES) == set(RiskReason) and len(set(CODES.values())) == len(CODES)


def test_marker_fades_where_nobody_renews_it(make_bench):
    bench = make_bench()
    markers = bench.listen(Marker, 'risk_marker')
    bench.until(lambda: markers, send=rgb_image())
    lifetime = markers[-1].lifetime
    assert lifetime.sec + lifetime.nanosec / 1e9 == 1.5


def test_second_node_of_the_same_name_is_noticed_and_said(make_bench):
    bench = make_bench(active=False)
    assert 'is called' not in bench.diagnostics()['risk']['message']
    second = rclpy.create_node('emu')
    second.create_publisher(Bool, '/emu/risk', 1)

    def said():
        return 'another node is called /emu too' in bench.diagnostics()['risk']['message']
    bench.until(said)
    assert bench.diagnostics()['risk']['level'] == b'\x02'
    assert 'name' in bench.node._log._said_s
    second.destroy_node()
    bench.until(lambda: not said())


def test_raises_are_counted_by_the_minute_in_the_diagnostics(make_bench):
    bench = make_bench(parameters={'clear_after': 1})
    for _ in range(2):
        bench.predictor.mean_entropy = 0.1
        bench.clear_risk()
        bench.predictor.mean_entropy = 0.9
        bench.until(lambda: bench.risk() is True, send=rgb_image())
    assert bench.transition('deactivate') and bench.transition('activate')
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'no_image')
    risk = bench.diagnostics()['risk']
    assert (risk['raises'], risk['raises_last_minute']) == ('2', '2')


def test_raises_are_those_of_the_last_minute():
    raises = Raises()
    for now_s, raised in enumerate([True, False, True, True, False, True]):
        raises.note(raised, float(now_s))
    assert (raises.total, raises.last_minute(5.0), raises.last_minute(62.5),
            raises.last_minute(70.0)) == (2, 2, 1, 0)
    raises.note(False, 71.0)
    raises.begin()
    raises.note(True, 72.0)
    assert raises.total == 2, 'a new beginning is no alarm'


def test_heartbeat_survives_an_error_and_ends_when_it_is_told_to():
    beats, errors = [], []

    def beat():
        beats.append(None)
        if len(beats) == 2:
            raise RuntimeError('once')
    heart = Heartbeat(beat, 0.001, on_error=lambda error: errors.append(error) is None, name='x')
    assert not beats and heart.stop(0.1), 'one that never began'
    heart = Heartbeat(beat, 0.001, on_error=lambda error: errors.append(error) is None, name='x')
    heart.start()
    until(lambda: len(beats) > 3)
    assert heart.stop(TIMEOUT_S) and heart.stop(TIMEOUT_S) and len(errors) == 1
    count = len(beats)
    time.sleep(0.02)
    assert len(beats) == count


def test_heartbeat_ends_where_nothing_is_left_to_go_on_with():
    context = SimpleNamespace(ok=False)
    heart = Heartbeat(lambda: 1 / 0, 0.001, on_error=lambda error: context.ok, name='x')
    heart.start()
    until(lambda: not heart._thread.is_alive())


def test_a_heart_that_cannot_even_say_what_is_wrong_beats_on():
    again, beats = threading.Event(), count(1)

    def beat():
        if next(beats) == 3:
            again.set()
        raise ValueError

    def on_error(error):
        raise RuntimeError('no logger')
    heart = Heartbeat(beat, 0.001, on_error=on_error, name='x')
    heart.start()
    assert again.wait(TIMEOUT_S), 'it fell silent'
    assert heart.stop(TIMEOUT_S)
