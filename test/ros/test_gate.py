# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Metres that are not to be believed stay in the node, and a robot that waits for them stops."""

from __future__ import annotations

from pathlib import Path
import time

from collision_monitor import CollisionMonitor
from emu_perception.risk import RiskReason, RiskState
from emu_perception.ros.gate import Gate, gate_of
from emu_perception.ros.map_messages import MapMessages
from emu_perception.topics import TOPICS
from node_bench import camera_info, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

ROOT = Path(__file__).parents[2]
SHARP, BLURRED = 0.5, 1.2  # mean entropy; the threshold is 0.8
GOOD = RiskState(False, RiskReason.NONE, 'certain', largest=0.5)
BAD = RiskState(False, RiskReason.NONE, 'uncertain (1 of 5 images)', largest=1.5)


@pytest.mark.parametrize('closing, image, raised, passing', [
    ((), BAD, True, (True, True, True)), (('points',), GOOD, False, (True, True, True)),
    (('points',), GOOD, True, (False, True, True)), (('points',), BAD, False, (False, True, True)),
    (('depth',), BAD, False, (True, False, True)),
    (('points', 'depth'), BAD, True, (False, False, True))])
def test_gate_is_open_only_for_a_good_image_under_a_lowered_flag(closing, image, raised, passing):
    gate = Gate(closing, image, lambda: raised)
    assert (gate.passes('points'), gate.passes('depth'), gate.passes(None)) == passing


@pytest.mark.parametrize('closing', [(), ('points', 'depth')])
@pytest.mark.parametrize('image, raised, passing', [
    (GOOD, False, True), (GOOD, True, False), (BAD, False, False), (BAD, True, False)])
def test_a_promised_map_has_a_gate_whatever_the_parameter_says(closing, image, raised, passing):
    gate = Gate(closing, image, lambda: raised)
    assert all(gate.passes(behind, True) is passing for behind in ('depth', None))


def test_every_topic_with_metres_is_behind_a_gate():
    behind = {name: gate_of(name, topic.task) for name, topic in TOPICS.items()}
    assert {name for name, gate in behind.items() if gate} == {
        'points', 'points/filtered', 'points/ground', 'points/obstacles', 'scan', 'depth/image',
        'depth/camera_info', 'depth_uncertainty', 'depth_uncertainty/epistemic',
        'depth_uncertainty_color', 'depth/source', 'scale_sigma', 'depth/interval'}
    assert behind['points'] == 'points' == gate_of('points/obstacles', 'depth')
    assert {behind[f'points/{name}'] for name in ('filtered', 'ground', 'obstacles')} == {'points'}
    assert behind['scan'] == 'points' and behind['mask'] is None
    assert behind['depth/image'] == 'depth'


class Feed:
    """Images of the moment with their camera, at a rate of some ten a second."""

    def __init__(self, bench):
        self.bench, self.sent = bench, 0

    def __call__(self):
        now = self.bench.helper.get_clock().now().to_msg()
        info = camera_info()
        info.header.stamp = now
        self.bench._camera_info.publish(info)
        self.bench.send(rgb_image(sec=now.sec, nanosec=now.nanosec))
        self.sent += 1
        return now.sec + now.nanosec / 1e9

    def until(self, condition, timeout_s=20.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f'not in time: {self.bench.diagnostics()}'
            self()
            time.sleep(0.1)


def test_image_above_a_threshold_is_withheld_though_the_flag_waits_for_more(make_bench):
    bench = make_bench(parameters={'gate': ['points'], 'raise_after': 1000})
    feed = Feed(bench)
    points, depths = bench.listen(PointCloud2, 'points'), bench.listen(Image, 'depth/image')
    feed.until(lambda: points and depths)
    bench.predictor.mean_entropy = BLURRED
    count = len(depths)
    feed.until(lambda: len(depths) > count + 2)
    count = len(points), len(depths)
    feed.until(lambda: len(depths) > count[1] + 3)
    assert len(points) == count[0] and bench.risk() is False
    assert int(bench.diagnostics()['inference']['withheld_by_gate']) > 0
    assert bench.set(gate=[]).successful
    feed.until(lambda: len(points) > count[0])


def test_depth_is_withheld_with_its_camera_and_sigma_and_labels_go_on(make_bench):
    bench = make_bench(parameters={'gate': ['depth', 'points'], 'clear_after': 1000})
    feed = Feed(bench)
    metres = [bench.listen(kind, name) for kind, name in (
        (Image, 'depth/image'), (CameraInfo, 'depth/camera_info'), (Image, 'depth_uncertainty'),
        (PointCloud2, 'points'))]
    others = [bench.listen(kind, name) for kind, name in (
        (Image, 'label'), (CameraInfo, 'camera_info'), (Image, 'overlay'))]
    feed.until(lambda: all(len(heard) > 4 for heard in others))
    assert not any(metres)
    assert bench.set(clear_after=1).successful
    feed.until(lambda: all(metres))


def test_gate_is_asked_again_when_the_cloud_is_made(make_bench, monkeypatch):
    bench = make_bench(parameters={'gate': ['points'], 'clear_after': 1})
    feed = Feed(bench)
    points = bench.listen(PointCloud2, 'points')
    feed.until(lambda: points)
    build, built = MapMessages.build, []

    def alarm(messages, topic):
        message = build(messages, topic)
        if topic.name == 'points':
            bench.node._risk.fault(bench.node._session, RiskReason.FAILURE, 'meanwhile', None)
            built.append(message.header.stamp.nanosec)
        return message
    monkeypatch.setattr(MapMessages, 'build', alarm)
    feed.until(lambda: len(built) > 2)
    time.sleep(0.3)
    assert not set(built) & {cloud.header.stamp.nanosec for cloud in points}


def test_points_come_nearer_by_the_margin_and_never_behind_the_camera(make_bench):
    bench = make_bench(parameters={'points_sigma_margin': 3.0})
    feed = Feed(bench)
    clouds = bench.listen(PointCloud2, 'points')

    def z():
        cloud = clouds[-1]
        return np.frombuffer(bytes(cloud.data), np.float32).reshape(cloud.height, cloud.width, -1)
    feed.until(lambda: clouds)
    found = z()
    # Depth 2 m; sigma 0.2 m, in the lower half 0.4 m; the first two pixels are beyond and unknown.
    assert np.isnan(found[0, :2, 2]).all()
    np.testing.assert_allclose(found[1:20, :, 2], 1.4, rtol=1e-6)
    np.testing.assert_allclose(found[30:, :, 2], 0.8, rtol=1e-5)
    np.testing.assert_allclose(found[30:, -1, 0] / found[30:, -1, 2], 31.5 / 50.0, rtol=1e-4)
    assert bench.set(points_sigma_margin=10.0).successful
    feed.until(lambda: z()[40, 0, 2] == 0.0)
    assert np.nanmin(z()[..., 2]) == 0.0


@pytest.mark.parametrize('rules', ['jazzy', 'humble'])
def test_robot_drives_while_sharp_stops_when_blurred_and_goes_on(make_bench, rules):
    bench = make_bench(parameters={'gate': ['points'], 'clear_after': 4})
    feed, monitor = Feed(bench), CollisionMonitor(rules, source_timeout_s=0.4)
    try:
        assert not monitor.drives()
        feed.until(monitor.drives)
        bench.predictor.mean_entropy = BLURRED
        period_s = time.monotonic()
        blurred_s = feed()
        time.sleep(0.1)
        period_s = time.monotonic() - period_s
        begun = time.monotonic()
        while monitor.drives():
            assert time.monotonic() - begun < 0.5 + period_s, 'drives blind'
            feed()
            time.sleep(0.1)
        for _ in range(5):
            feed()
            time.sleep(0.1)
            assert not monitor.drives()
        assert not any(stamp > blurred_s + 0.2 for stamp in monitor.clouds)
        bench.predictor.mean_entropy = SHARP
        feed.sent = 0
        feed.until(monitor.drives)
        assert feed.sent >= 4, 'it went on before clear_after images'
    finally:
        monitor.close()


def test_flag_that_comes_late_for_its_consumers_is_said(make_bench):
    bench = make_bench(parameters={'consumer_timeout_s': 0.4})
    feed = Feed(bench)
    call = bench.predictor.__class__.__call__

    class Slow(bench.predictor.__class__):

        def __call__(self, *args, **options):
            time.sleep(0.3)
            return call(self, *args, **options)
    bench.predictor.__class__ = Slow
    feed.until(lambda: 'the flag comes late' in bench.diagnostics()['inference']['message'])
    part = bench.diagnostics()['inference']
    assert part['level'] == b'\x01' and float(part['image_to_flag_s_p95']) > 0.2
    assert bench.set(consumer_timeout_s=60.0).successful
    feed.until(lambda: bench.diagnostics()['inference']['level'] == b'\x00')


def test_node_starts_with_the_packages_own_parameter_file(make_bench):
    bench = make_bench(active=False, cli_args=[
        '--ros-args', '--params-file', str(ROOT / 'config' / 'emu.yaml')])
    assert bench.node._settings.gate == ()
    assert bench.set(gate=['depth', 'points']).successful
    assert bench.node._settings.gate == ('depth', 'points')
    refused = bench.set(gate=['everything'])
    assert not refused.successful and 'each one of points, depth' in refused.reason
