# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Without a plausible focal length metres are withheld and the flag is raised, over DDS."""

from __future__ import annotations

from dataclasses import replace
import time
from types import SimpleNamespace

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception.ros import camera_source, lifecycle_node
from node_bench import camera_info, FakePredictor, rgb_image
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Float32

METRES = {'depth/image': Image, 'depth/camera_info': CameraInfo, 'depth_uncertainty': Image,
          'depth_uncertainty_color': Image, 'points': PointCloud2,
          'mean_depth_uncertainty': Float32}
OTHERS = {'label': Image, 'segmentation_uncertainty': Image, 'overlay': Image,
          'mean_segmentation_uncertainty': Float32}
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
UNKNOWN = {'fallback_hfov_deg': 0.0}


def reason(bench):
    return bench.diagnostics()['risk']['reason']


def listen(bench, topics):
    return {name: bench.listen(kind, name) for name, kind in topics.items()}


def test_without_it_everything_with_metres_is_withheld_and_all_else_goes_on(make_bench):
    bench = make_bench(parameters=UNKNOWN)
    metres, others = listen(bench, METRES), listen(bench, OTHERS)
    statuses = bench.listen(DiagnosticArray, 'risk_status')
    bench.until(lambda: all(len(messages) >= 5 for messages in others.values()), send=rgb_image())
    assert not any(metres.values()), 'a message with metres, or with NaN in their place'
    assert not any(flag.data is False for flag in bench.received['risk'])
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image())
    texts = [bench.diagnostics()['input']['message'], bench.diagnostics()['risk']['message'],
             bench.until(lambda: statuses and statuses[-1].status[0].message)]
    for text in texts:
        assert 'no camera_info on /camera_info' in text
        assert all(f'~/{name}' in text for name in METRES), text
    assert bench.diagnostics()['input']['level'] == b'\x02'
    assert bench.diagnostics()['risk']['mean_depth_uncertainty_m'] == 'n/a'


def test_the_log_says_once_which_topics_are_withheld_and_what_to_do(make_bench, monkeypatch):
    bench, lines = make_bench(parameters=UNKNOWN), []
    monkeypatch.setattr(bench.node._log, '_logger', SimpleNamespace(
        info=lines.append, warning=lines.append, error=lines.append))
    bench.until(lambda: len(bench.predictor.calls) > 4, send=rgb_image())
    said = [line for line in lines if 'withheld ~/depth/image' in line]
    assert len(said) == 1 and '~/points' in said[0] and 'fallback_hfov_deg' in said[0]


def test_the_flag_goes_up_again_when_the_camera_info_no_longer_fits(make_bench):
    bench = make_bench(parameters=UNKNOWN)
    depths = bench.listen(Image, 'depth/image')
    bench.until(lambda: bench.risk() is False, send=rgb_image(), camera_info=camera_info())
    assert depths
    bench.until(lambda: bench.risk() is True, send=rgb_image(128, 96))
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image(128, 96))
    assert not any(depth.width == 128 for depth in depths)


def test_a_stated_field_of_view_serves_at_every_resolution_and_is_warned_of(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 90.0})
    depths, infos = bench.listen(Image, 'depth/image'), bench.listen(CameraInfo, 'camera_info')
    for width, height in ((64, 48), (128, 96)):
        bench.until(lambda width=width: bench.risk() is False and depths and infos
                    and depths[-1].width == infos[-1].width == width,
                    send=rgb_image(width, height))
        assert bench.predictor.calls[-1]['fx'] == infos[-1].k[0] == pytest.approx(width / 2)
    source = bench.until(lambda: (found := bench.diagnostics()['input'])['level'] == b'\x01'
                         and found, send=rgb_image())
    assert 'fallback_hfov_deg 90 is used' in source['message']
    assert source['camera_info'] == 'fallback_hfov_deg'


def test_a_camera_info_goes_before_the_stated_field_of_view(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 90.0})
    bench.until(lambda: bench.predictor.calls and bench.predictor.calls[-1]['fx'] == 50.0,
                send=rgb_image(), camera_info=camera_info())
    bench.until(lambda: bench.diagnostics()['input']['camera_info'] == 'used')


def test_a_stated_field_of_view_that_no_camera_has_is_a_fault_too(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 2.0})
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image())
    assert 'field of view of 2 degrees' in bench.diagnostics()['risk']['detail']


def test_doing_without_camera_info_needs_the_stated_field_of_view(make_bench):
    bench = make_bench(parameters={'use_camera_info': False, **UNKNOWN})
    depths = bench.listen(Image, 'depth/image')
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image(),
                camera_info=camera_info())
    assert not depths and bench.risk() is True
    assert bench.set(fallback_hfov_deg=60.0).successful
    bench.until(lambda: bench.risk() is False and depths, send=rgb_image(),
                camera_info=camera_info())


def test_a_network_that_knows_no_training_camera_gives_no_metres_either(make_bench):
    """Its depths are of one camera and nobody knows of which: a good camera_info helps nothing."""
    predictor = FakePredictor()
    predictor.metadata = replace(predictor.metadata, intrinsics=None)
    bench = make_bench(predictor=predictor, parameters=UNKNOWN)
    metres, labels = listen(bench, METRES), bench.listen(Image, 'label')
    bench.until(lambda: len(labels) >= 5, send=rgb_image(), camera_info=camera_info())
    assert not any(metres.values())
    assert not any(flag.data is False for flag in bench.received['risk'])
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image(),
                camera_info=camera_info())
    assert 'no training intrinsics' in bench.diagnostics()['risk']['message']


def test_a_network_without_depth_needs_none(make_bench):
    bench = make_bench(predictor=FakePredictor(tasks=('segmentation',)), parameters=UNKNOWN)
    bench.clear_risk()
    assert bench.diagnostics()['input']['withheld'] == 'none'


def test_a_network_of_depth_alone_still_shows_its_picture(make_bench):
    bench = make_bench(predictor=FakePredictor(tasks=('depth',)), parameters=UNKNOWN)
    overlays, depths = bench.listen(Image, 'overlay'), bench.listen(Image, 'depth/image')
    bench.until(lambda: len(overlays) >= 3, send=rgb_image())
    assert not depths and bench.risk() is True


def test_metres_are_of_the_camera_info_of_their_image_that_drivers_send_after_it(make_bench):
    """A camera that zooms at once: by the one before, a wall would be twice as far, or as near."""
    bench = make_bench()
    infos = bench.listen(CameraInfo, 'depth/camera_info')

    def send(fx, **stamp):
        info = camera_info(fx=fx)
        info.header.stamp.sec = stamp['sec']
        bench.send(rgb_image(**stamp), info)
    bench.until(lambda: infos or send(50.0, sec=1))
    infos.clear()
    bench.hang(sec=2, nanosec=0)
    late = camera_info(fx=100.0)
    late.header.stamp.sec = 2
    bench._camera_info.publish(late)
    bench.until(lambda: bench.node._pipeline.camera.came_late(late.header.stamp))
    bench.predictor.gate.set()
    bench.until(lambda: infos)
    assert all(info.k[0] == 100.0 for info in infos if info.header.stamp.sec == 2)


@pytest.fixture
def infos_on(make_bench, monkeypatch):
    """Return a bench whose camera_info nobody publishes yet."""
    monkeypatch.setattr(lifecycle_node, 'LOOK_PERIOD_S', 0.1)

    def make(**arguments):
        return make_bench(parameters=UNKNOWN,
                          cli_args=['--ros-args', '-r', 'camera_info:=cam/info'], **arguments)
    return make


def durabilities(bench):
    return sorted(one.qos_profile.durability.name
                  for one in bench.helper.get_subscriptions_info_by_topic('/cam/info'))


def test_one_latched_before_the_node_subscribed_is_used(infos_on):
    bench = infos_on(active=False)
    publisher = bench.helper.create_publisher(CameraInfo, 'cam/info', LATCHED)
    publisher.publish(camera_info(fx=60.0))
    assert bench.transition('configure') and bench.transition('activate')
    bench.until(lambda: bench.risk() is False, send=rgb_image())
    assert bench.predictor.calls[-1]['fx'] == 60.0


def test_a_latched_publisher_that_comes_later_is_found_and_forgotten_when_it_goes(infos_on):
    bench = infos_on()
    bench.until(lambda: durabilities(bench) == ['VOLATILE'])
    publisher = bench.helper.create_publisher(CameraInfo, 'cam/info', LATCHED)
    publisher.publish(camera_info(fx=60.0))
    bench.until(lambda: bench.risk() is False, send=rgb_image())
    assert durabilities(bench) == ['TRANSIENT_LOCAL', 'VOLATILE']
    bench.helper.destroy_publisher(publisher)
    bench.until(lambda: durabilities(bench) == ['VOLATILE'])
    bench.until(lambda: len(bench.predictor.calls) > 5, send=rgb_image())
    assert bench.risk() is False and bench.predictor.calls[-1]['fx'] == 60.0, 'it aged'
    assert bench.transition('deactivate')
    bench.until(lambda: durabilities(bench) == [])


def test_two_that_latch_different_lenses_withhold_metres_until_one_is_gone(infos_on):
    """Each spoke once, before the node was there: which came last says nothing."""
    bench = infos_on(active=False)
    first, second = (bench.helper.create_publisher(CameraInfo, 'cam/info', LATCHED)
                     for _ in range(2))
    first.publish(camera_info(fx=60.0))
    second.publish(camera_info(fx=30.0))
    assert bench.transition('configure') and bench.transition('activate')
    bench.until(lambda: reason(bench) == 'no_calibration'
                and 'several publishers' in bench.diagnostics()['risk']['message'],
                send=rgb_image())
    depths = bench.listen(Image, 'depth/image')
    bench.until(lambda: len(bench.predictor.calls) > 5, send=rgb_image())
    assert bench.risk() is True and not depths
    bench.helper.destroy_publisher(second)
    bench.until(lambda: bench.risk() is False, send=rgb_image())
    assert bench.predictor.calls[-1]['fx'] == 60.0, 'of the one that is gone'


def test_a_second_that_latches_another_lens_is_seen_before_its_lens_counts(infos_on):
    """Not at the next look, a second later."""
    bench = infos_on(active=False)
    first = bench.helper.create_publisher(CameraInfo, 'cam/info', LATCHED)
    first.publish(camera_info(fx=60.0))
    assert bench.transition('configure') and bench.transition('activate')
    bench.until(lambda: bench.risk() is False, send=rgb_image())
    second = bench.helper.create_publisher(CameraInfo, 'cam/info', LATCHED)
    second.publish(camera_info(fx=30.0))
    bench.until(lambda: reason(bench) == 'no_calibration', send=rgb_image())
    for _ in range(5):
        first.publish(camera_info(fx=60.0))  # And however often the one says it.
    seen = len(bench.predictor.calls)
    bench.until(lambda: len(bench.predictor.calls) > seen + 5, send=rgb_image())
    assert bench.risk() is True
    assert {call['fx'] for call in bench.predictor.calls} <= {60.0, None}


def test_a_volatile_publisher_meets_no_incompatible_subscription(infos_on):
    bench = infos_on()
    publisher = bench.helper.create_publisher(CameraInfo, 'cam/info', 1)
    bench.until(lambda: publisher.publish(camera_info()) or bench.risk() is False,
                send=rgb_image())
    time.sleep(0.3)
    assert durabilities(bench) == ['VOLATILE']


def test_a_stream_of_them_that_ended_is_a_warning_and_no_more(infos_on, monkeypatch):
    monkeypatch.setattr(camera_source, '_ENDED_AFTER_S', 0.4)
    bench = infos_on()
    publisher = bench.helper.create_publisher(CameraInfo, 'cam/info', 1)
    sent = []
    bench.until(lambda: sent.append(publisher.publish(camera_info())) or (
        len(sent) > 8 and bench.risk() is False), send=rgb_image())
    said = bench.until(lambda: (found := bench.diagnostics()['input'])['level'] == b'\x01'
                       and found['message'], send=rgb_image())
    assert said.startswith('camera_info on /cam/info came every')
    assert bench.risk() is False
