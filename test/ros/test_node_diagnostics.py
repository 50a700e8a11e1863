# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node says what is wrong: silence, types, QoS, clocks, cameras, times."""

from __future__ import annotations

from emu_perception.ros import diagnostics, lifecycle_node, node_health
from emu_perception.ros.silence import explain_silence
from node_bench import camera_info, fake_calibration, FakePredictor, rgb_image
import pytest
import rclpy
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

PERIOD_S = lifecycle_node.DIAGNOSTICS_PERIOD_S  # before a bench hurries it


@pytest.fixture
def impatient(monkeypatch):
    """Call it silence after half a second."""
    monkeypatch.setattr(node_health, 'SILENT_AFTER_S', 0.5)


def said(bench, *words):
    """Wait until the input's diagnosis is an error with all of these words."""
    def found():
        part = bench.diagnostics()['input']
        return part['level'] == b'\x02' and all(word in part['message'] for word in words)
    bench.until(found)


def test_no_publisher_names_the_topic_and_the_topics_there_are(impatient, make_bench):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=wrong/name'])
    said(bench, 'no publisher on /wrong/name', '/image (sensor_msgs/msg/Image)')
    assert '/emu/' not in bench.diagnostics()['input']['message'], 'offers its own outputs'


def test_most_similar_topic_name_comes_first(impatient, make_bench):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=/front/color/image_rect'])
    for name in ('/a/b', '/front/color/image_rect_color', '/rear/mono', '/c', '/d', '/e', '/f'):
        bench.helper.create_publisher(Image, name, 1)
    said(bench, 'no publisher on /front/color/image_rect', 'and 3 more')
    message = bench.diagnostics()['input']['message']
    assert 'image topics there are: /front/color/image_rect_color (' in message


@pytest.mark.parametrize('transport, there, kind', [
    ('raw', 'cam/compressed', CompressedImage), ('compressed', 'cam', Image)])
def test_topic_of_the_other_transport_is_named_with_the_parameter(
        impatient, make_bench, transport, there, kind):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=cam'],
                       parameters={'transport': transport})
    bench.helper.create_publisher(kind, there, 1)
    other = {'raw': 'compressed', 'compressed': 'raw'}[transport]
    said(bench, f'/{there} is there: set the parameter transport to {other}')


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_compressed_topic_as_the_image_gets_one_advice_at_once_whatever_the_transport(
        make_bench, transport):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=/cam/image_raw/compressed'],
                       parameters={'transport': transport})
    # Long before SILENT_AFTER_S, and the same before and after the advice is half followed.
    said(bench, '`image` is remapped to /cam/image_raw/compressed', 'remap it to /cam/image_raw '
         'and set transport to compressed')


def explained(bench, *words, image=None):
    """Wait until the input's warnings have all of these words."""
    bench.until(lambda: all(word in bench.diagnostics()['input']['warnings'] for word in words),
                send=image or rgb_image())


def test_a_camera_info_that_never_comes_is_explained_as_an_image_is(impatient, make_bench):
    """What is withheld for it was said, and not that the topic has another name."""
    bench = make_bench(cli_args=['--ros-args', '-r', 'camera_info:=/cam/info'],
                       parameters={'fallback_hfov_deg': 0.0})
    bench.helper.create_publisher(CameraInfo, '/cam/camera_info', 1)
    explained(bench, "no publisher on /cam/info: start the camera's driver or remap `camera_info`",
              'camera_info topics there are: ', '/cam/camera_info (sensor_msgs/msg/CameraInfo)')
    assert bench.set(fallback_hfov_deg=60.0).successful
    bench.until(lambda: 'no publisher' not in bench.diagnostics()['input']['warnings'],
                send=rgb_image())


def test_a_depth_hint_that_never_comes_is_explained_as_an_image_is(
        impatient, make_bench, domain_id):
    bench = make_bench(cli_args=['--ros-args', '-r', 'depth_hint:=/cam/depth'],
                       parameters={'depth_hint': True})
    bench.helper.create_publisher(Image, '/cam/aligned_depth', 1)
    explained(bench, 'depth hint: no publisher on /cam/depth: start the depth camera or remap '
              '`depth_hint`; image topics there are: /cam/aligned_depth (')
    context = rclpy.Context()  # As in test_publisher_of_another_type_is_named.
    rclpy.init(context=context, domain_id=domain_id)
    try:
        other = rclpy.create_node('other', context=context)
        other.create_publisher(CompressedImage, '/cam/depth', 1)
        explained(bench, 'no depth_hint on /cam/depth: no publisher matches', '/other',
                  'have it sent raw')
        other.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def test_right_remap_of_a_compressed_topic_gets_no_advice(make_bench):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=/cam/image_raw'],
                       parameters={'transport': 'compressed'})
    assert bench.node._inputs.advice == ''


def test_another_cameras_node_is_no_camera(impatient, make_bench):
    make_bench(namespace='front')
    bench = make_bench(namespace='left', cli_args=['--ros-args', '-r', 'image:=wrong'])
    said(bench, 'no publisher on /left/wrong')
    message = bench.diagnostics()['input']['message']
    assert '/front/image' in message and '/front/emu/' not in message


def test_hardware_of_the_diagnostics_is_the_camera(make_bench):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=/front/image_rect'])
    bench.until(lambda: bench.received['/diagnostics'])
    assert {status.hardware_id for status in bench.received['/diagnostics'][-1].status} == {
        '/front/image_rect'}


def test_two_nodes_that_send_one_input_are_named(make_bench):
    bench = make_bench()
    other = rclpy.create_node('second_driver')
    try:
        other.create_publisher(CameraInfo, '/camera_info', 1)
        bench.until(lambda: '/helper, /second_driver all send /camera_info' in
                    bench.diagnostics()['input']['warnings'])
    finally:
        other.destroy_node()
    bench.until(lambda: 'all send' not in bench.diagnostics()['input']['warnings'])


def test_incompatible_durability_is_named(make_bench):
    bench = make_bench(active=False)
    bench.helper.create_publisher(Image, 'cam', 1)
    wanted = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    line = bench.until(lambda: 'volatile' in (found := explain_silence(
        bench.node, '/cam', 'sensor_msgs/msg/Image', wanted)) and found)
    assert '/helper' in line and 'does not match our QoS' in line
    assert 'transient local' in line.lower()
    assert 'no publisher matches' in line


def test_publisher_of_another_type_is_named(impatient, make_bench, domain_id):
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=cam'])
    # One process cannot have two types on a topic: a context of its own stands for another one.
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    try:
        other = rclpy.create_node('other', context=context)
        other.create_publisher(CompressedImage, 'cam', 1)
        said(bench, '/other', 'sensor_msgs/msg/CompressedImage', 'transport')
        other.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def test_incompatible_qos_is_named(impatient, make_bench):
    bench = make_bench(
        cli_args=['--ros-args', '-r', 'image:=cam'],
        parameters={'qos_overrides./cam.subscription.reliability': 'reliable'})
    bench.helper.create_publisher(
        Image, 'cam', QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT))
    said(bench, '/helper', 'best_effort', 'does not match our QoS', 'no publisher matches')


def test_publisher_that_sends_nothing_is_named_and_forgotten_once_it_sends(impatient, make_bench):
    bench = make_bench()
    said(bench, 'matches but sends nothing', '/helper')
    bench.until(lambda: bench.diagnostics()['input']['level'] == b'\x00', send=rgb_image(),
                camera_info=camera_info())


def test_missing_clock_is_a_diagnosis_and_diagnostics_and_risk_go_on(impatient, make_bench):
    bench = make_bench(parameters={'use_sim_time': True, 'stale_after_s': 0.5}, clocked=True)
    said(bench, 'use_sim_time is set but there is no /clock')
    # Not lowered by images either, whose age nobody knows.
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'stale', send=rgb_image())
    flags = bench.received['risk']
    count = len(flags)
    bench.until(lambda: len(flags) > count + 1)
    assert all(flag.data for flag in flags)


def test_inactive_node_does_not_complain_of_silence(impatient, make_bench):
    bench = make_bench()
    said(bench, 'no image')
    assert bench.transition('deactivate')
    bench.until(lambda: bench.diagnostics()['input']['level'] == b'\x00')


def test_diagnostics_come_once_a_second(make_bench):
    bench = make_bench(active=False, diagnostics_period_s=PERIOD_S)
    arrays = bench.received['/diagnostics']
    bench.until(lambda: len(arrays) >= 3)
    stamps = [a.header.stamp.sec + a.header.stamp.nanosec * 1e-9 for a in arrays]
    assert PERIOD_S == 1.0 and stamps[2] - stamps[0] == pytest.approx(2.0, abs=0.8)


def test_all_keys_are_there_with_plausible_values(make_bench):
    bench = make_bench(parameters={'risk_threshold_depth': 0.3})
    stamp = bench.node.get_clock().now().to_msg()
    image = rgb_image(sec=stamp.sec, nanosec=stamp.nanosec)
    bench.until(lambda: bench.diagnostics()['inference']['cyclic_time_ms'] != 'n/a'
                and bench.diagnostics()['input']['input_rate_hz'] != 'n/a',
                send=image, camera_info=camera_info())
    parts = bench.diagnostics()
    assert [part['name'] for part in parts.values()] == [
        'emu: input', 'emu: inference', 'emu: risk', 'emu: model']
    inference = parts['inference']
    assert float(inference['network_time_ms']) == 2.0
    assert 0 < float(inference['processing_time_ms']) < float(inference['pipeline_latency_ms'])
    for key in ('conversion_time_ms', 'publish_time_ms', 'waiting_time_ms', 'cyclic_time_ms_max',
                'dropped_newer_image', 'dropped_failure', 'processed', 'output_rate_hz'):
        assert float(inference[key]) >= 0, key
    source = parts['input']
    assert source['image_topic'] == '/image' and source['camera_info'] == 'used'
    assert 0 <= float(source['image_age_s']) < 10 and float(source['input_rate_hz']) > 0
    assert parts['risk']['threshold_depth_from'] == 'parameter'
    assert parts['risk']['threshold_segmentation_from'] == 'checkpoint'
    model = parts['model']
    assert model['device'] == 'fake device' and model['model_file'] == '/fake'
    assert model['input_size'] == '24x32' and model['nodes_sharing_it'] == '1'
    assert float(inference['turn_time_ms']) >= 0
    assert model['temperature'] == '1.5' and model['calibrated_risk_percentile'] == '95'


def test_risk_part_has_the_means_the_reason_and_the_drops_have_their_causes(make_bench):
    bench = make_bench()
    bench.clear_risk()
    bench.until(lambda: bench.diagnostics()['risk']['reason'] == 'none', send=rgb_image())
    risk = bench.diagnostics()['risk']
    assert risk['mean_segmentation_uncertainty_nat'] == '0.5'
    assert risk['mean_depth_uncertainty_m'] == '0.2' and risk['raised'] == 'False'
    bench.until(lambda: bench.diagnostics()['inference']['dropped_unusable_input'] != '0',
                send=Image())
    assert bench.diagnostics()['inference']['dropped_failure'] == '0'
    assert bench.diagnostics()['risk']['reason'] == 'unusable_input'


def test_age_of_the_last_image_grows_when_the_camera_stops(make_bench):
    bench = make_bench()
    bench.until(lambda: bench.diagnostics()['input']['received'] != '0', send=rgb_image())
    bench.until(lambda: float(bench.diagnostics()['input']['image_age_s']) > 0.5)


def test_hanging_network_is_an_error_of_its_own(make_bench, monkeypatch):
    monkeypatch.setattr(diagnostics, '_HANGS_AFTER_S', 0.5)
    bench = make_bench()
    bench.hang()
    bench.until(lambda: 'the network hangs' in bench.diagnostics()['inference']['message'])
    assert bench.diagnostics()['inference']['level'] == b'\x02'
    bench.predictor.gate.set()
    bench.until(lambda: bench.diagnostics()['inference']['level'] == b'\x00')


def test_distorted_camera_on_a_raw_topic_is_warned_of_once(make_bench, monkeypatch):
    bench = make_bench(parameters={'rectify': 'never'})
    lines = []
    monkeypatch.setattr(bench.node._log, '_logger', Lines(lines))
    info = camera_info(d=(0.2, -0.1, 0.0, 0.0, 0.0))
    bench.until(lambda: len(bench.predictor.calls) > 5, send=rgb_image(), camera_info=info)
    assert len([line for line in lines if 'not rectified' in line]) == 1


def test_missing_camera_info_is_warned_of_once(make_bench, monkeypatch):
    bench = make_bench()
    lines = []
    monkeypatch.setattr(bench.node._log, '_logger', Lines(lines))
    bench.until(lambda: len(bench.predictor.calls) > 5, send=rgb_image())
    assert len([line for line in lines if 'no camera_info on /camera_info' in line]) == 1


def test_bad_images_do_not_flood_the_log(make_bench, monkeypatch):
    bench = make_bench()
    lines = []
    monkeypatch.setattr(bench.node._log, '_logger', Lines(lines))
    bench.until(lambda: int(bench.diagnostics()['inference']['dropped_unusable_input']) > 10,
                send=Image())
    assert 1 <= len([line for line in lines if 'unusable_input' in line]) <= 4


class Lines:
    """A logger that keeps its lines."""

    def __init__(self, lines):
        self.info = self.warning = self.error = lines.append


def test_a_backend_that_was_refused_is_a_warning_also_when_it_is_refused_later(make_bench):
    bench = make_bench()
    assert bench.diagnostics()['model']['backend_refused'] == ''
    bench.predictor.backend_notes = ("backend 'openvino' is refused at 160x96: depth is off",)
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x01')
    model = bench.diagnostics()['model']
    assert 'openvino' in model['message'] and 'depth is off' in model['backend_refused']
    assert model['backend'] == 'fake backend'


def test_an_activation_has_no_images_of_the_one_before(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 0.0})
    bench.until(lambda: bench.diagnostics()['input']['withheld'] != 'none', send=rgb_image())
    assert bench.transition('deactivate') and bench.transition('activate')
    bench.until(lambda: bench.diagnostics()['inference']['state'] == 'active'
                and bench.diagnostics()['input']['message'] == 'waiting for the first image')
    source = bench.diagnostics()['input']
    assert (source['image_age_s'], source['withheld']) == ('n/a', 'none')


def test_each_part_says_its_own_error_and_not_the_newest_of_another(make_bench):
    bench = make_bench(diagnostics_period_s=1.0)
    broken = rgb_image()
    broken.encoding = '32FC1'

    def both():
        bench.predictor.fails = RuntimeError('the fan is off')
        bench.send(rgb_image())
        bench.until(lambda: bench.node._statistics.snapshot(0.0).drops.get('failure'))
        bench.send(broken)
        parts = bench.diagnostics()
        return (parts['inference']['level'] == b'\x02' == parts['input']['level']) and parts
    parts = bench.until(both)
    assert 'the fan is off' in parts['inference']['message']
    assert 'depth topic' in parts['input']['message']


def test_a_flag_that_no_score_can_raise_is_a_warning(make_bench):
    bench = make_bench(predictor=FakePredictor(calibration=fake_calibration(None, None)))
    model = bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x01'
                        and bench.diagnostics()['model'])
    assert 'no score has a threshold' in model['message']
    assert bench.set(risk_threshold_depth=1.0).successful
    bench.until(lambda: bench.diagnostics()['model']['level'] == b'\x00')
