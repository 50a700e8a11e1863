# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Every topic of the contract, received over DDS, with a network whose answer is known."""

from __future__ import annotations

import math
import time

from diagnostic_msgs.msg import DiagnosticArray
from emu_perception import visualization
from emu_perception.cloud_layout import POINT
from emu_perception.ros.gate import Gate
from emu_perception.ros.image_messages import to_bytes
from emu_perception.ros.map_publishers import Frame
from node_bench import camera_info, CLASSES, FakePredictor, PALETTE, rgb_image
import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Float32
from visualization_msgs.msg import Marker


def receive(bench, kind, topic, *, image=None, info=None, many=1):
    """Listen to a topic, send images, and return the last of ``many`` messages."""
    messages = bench.listen(kind, topic)
    bench.until(lambda: len(messages) >= many, send=image or rgb_image(),
                camera_info=info or camera_info())
    return messages[-1]


def pixels(message):
    """Return an Image message's pixels."""
    dtype = np.dtype({'32FC1': np.float32, '16UC1': np.uint16}.get(message.encoding, np.uint8))
    channels = 3 if message.encoding == 'rgb8' else 1
    assert message.step == message.width * channels * dtype.itemsize
    assert not message.is_bigendian
    data = np.frombuffer(message.data, dtype).reshape(message.height, message.width, channels)
    return data if channels > 1 else data[..., 0]


LOWER = np.arange(48)[:, None] >= 24
ENTROPY = np.where(LOWER, 0.9, 0.5).repeat(64, 1)
SIGMA = np.where(LOWER, 0.4, 0.2).repeat(64, 1)
LABEL = np.tile((np.arange(64) % 3).astype(np.uint8), (48, 1))
DEPTH = np.full((48, 64), 2.0)
DEPTH[0, :2] = np.inf, np.nan


@pytest.mark.parametrize('topic, encoding, expected', [
    ('label', 'mono8', LABEL),
    ('depth/image', '32FC1', DEPTH),
    ('segmentation_uncertainty', '32FC1', ENTROPY),
    ('depth_uncertainty', '32FC1', SIGMA),
    ('confidence', 'mono8', np.full((48, 64), 204)),
    ('label_color', 'rgb8', np.array(PALETTE)[LABEL]),
    ('segmentation_uncertainty_color', 'rgb8',
     visualization.scalar_color(ENTROPY, 0.0, math.log(len(CLASSES)))),
    ('depth_uncertainty_color', 'rgb8', visualization.scalar_color(SIGMA, 0.0, 1.0)),
])
def test_map_has_values_encoding_size_stamp_and_frame(make_bench, topic, encoding, expected):
    message = receive(make_bench(), Image, topic)
    assert message.encoding == encoding
    assert (message.header.frame_id, message.header.stamp.sec, message.header.stamp.nanosec) == (
        'camera_optical_frame', 1234, 567)
    np.testing.assert_allclose(pixels(message), expected, rtol=1e-6)


def test_instances_are_published_with_the_images_stamp_and_frame_where_the_task_is(make_bench):
    bench = make_bench(predictor=FakePredictor(tasks=('segmentation', 'depth', 'instance')))
    overlays = bench.listen(Image, 'overlay')
    message = receive(bench, Image, 'instance')
    assert (message.encoding, message.header.frame_id) == ('16UC1', 'camera_optical_frame')
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1234, 567)
    np.testing.assert_array_equal(pixels(message), LOWER * 300 + LABEL)
    bench.until(lambda: overlays, send=rgb_image())
    assert (pixels(overlays[-1])[24] == 255).all(), 'no outline between upper and lower half'


def test_without_the_task_there_is_no_topic_of_instances(make_bench):
    bench = make_bench()
    names = [name for name, _ in bench.helper.get_topic_names_and_types()]
    assert f'/{bench.name}/label' in names and f'/{bench.name}/instance' not in names


def test_overlay_shows_labels_over_the_image_under_a_banner(make_bench):
    message = receive(make_bench(), Image, 'overlay')
    assert message.encoding == 'rgb8' and message.header.stamp.sec == 1234
    picture = pixels(message)
    image = np.frombuffer(rgb_image().data, np.uint8).reshape(48, 64, 3)
    blended = (image.astype(float) + np.array(PALETTE)[LABEL]) / 2
    assert np.abs(picture[20:].astype(float) - blended[20:]).max() <= 1
    assert not np.allclose(picture[:10], blended[:10], atol=20)


@pytest.mark.parametrize('topic', ['camera_info', 'depth/camera_info'])
def test_camera_info_goes_with_the_maps_size_and_stamp(make_bench, topic):
    bench = make_bench(parameters={'output_size': 'network'})
    message = receive(bench, CameraInfo, topic)
    assert (message.width, message.height) == (32, 24)
    assert message.k[0] == pytest.approx(25.0) and message.k[2] == pytest.approx(15.5)
    assert message.header.stamp.nanosec == 567
    assert message.header.frame_id == 'camera_optical_frame'


def test_points_are_organised_and_aligned_with_the_label(make_bench):
    cloud = receive(make_bench(), PointCloud2, 'points')
    assert (cloud.width, cloud.height, cloud.is_dense) == (64, 48, False)
    assert [f.name for f in cloud.fields] == ['x', 'y', 'z', 'rgb', 'label', 'sigma']
    assert cloud.header.stamp.sec == 1234 and cloud.header.frame_id == 'camera_optical_frame'
    points = np.frombuffer(cloud.data, POINT).reshape(48, 64)
    assert np.isnan(points['z'][0, :2]).all() and np.isnan(points['x'][0, :2]).all()
    assert points['z'][5, 63] == 2.0
    assert points['x'][5, 63] == pytest.approx((63 - 31.5) / 50 * 2)
    assert points['y'][0, 63] == pytest.approx((0 - 23.5) / 50 * 2)
    np.testing.assert_array_equal(points['label'], LABEL)
    np.testing.assert_allclose(points['sigma'], SIGMA, rtol=1e-6)
    assert points['rgb'][0, 63] == 255 << 16 and points['rgb'][47, 63] == (255 << 16 | 255 << 8)


def test_without_camera_info_nothing_is_invented(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 0.0})
    info, cloud = bench.listen(CameraInfo, 'camera_info'), bench.listen(PointCloud2, 'points')
    label = bench.listen(Image, 'label')
    bench.until(lambda: len(label) >= 3, send=rgb_image())
    assert not info and not cloud
    assert bench.predictor.calls[-1]['fx'] is None
    bench.until(lambda: 'no camera_info' in bench.diagnostics()['input']['camera_info'],
                send=rgb_image())


def test_camera_info_of_another_size_is_not_used(make_bench):
    bench = make_bench(parameters={'fallback_hfov_deg': 0.0})
    label = bench.listen(Image, 'label')
    bench.until(lambda: len(label) >= 2, send=rgb_image(), camera_info=camera_info(128, 96))
    assert bench.predictor.calls[-1]['fx'] is None
    bench.until(lambda: '128x96' in bench.diagnostics()['input']['camera_info'],
                send=rgb_image(), camera_info=camera_info(128, 96))


@pytest.mark.parametrize('remap, expected', [([], 50.0), (['image:=cam/image_rect'], 40.0)])
def test_focal_length_is_that_of_the_topic(make_bench, remap, expected):
    args = [word for rule in remap for word in ('-r', rule)]
    bench = make_bench(cli_args=['--ros-args', *args])
    if remap:
        bench._image = bench.helper.create_publisher(Image, 'cam/image_rect', 1)
    info = camera_info(fx=50.0, p_fx=40.0)
    bench.until(lambda: any(call['fx'] == expected for call in bench.predictor.calls),
                send=rgb_image(), camera_info=info)


def test_means_and_risk_status_carry_the_figures(make_bench):
    bench = make_bench()
    entropy = bench.listen(Float32, 'mean_segmentation_uncertainty')
    sigma = bench.listen(Float32, 'mean_depth_uncertainty')
    status = bench.listen(DiagnosticArray, 'risk_status')
    bench.until(lambda: entropy and sigma and any(s.header.stamp.sec == 1234 for s in status),
                send=rgb_image())
    assert entropy[-1].data == pytest.approx(0.5) and sigma[-1].data == pytest.approx(0.2)
    message = next(s for s in status if s.header.stamp.sec == 1234)
    assert message.header.frame_id == 'camera_optical_frame'
    values = {pair.key: pair.value for pair in message.status[0].values}
    assert message.status[0].name == 'emu: risk'
    assert values['threshold_segmentation_nat'] == '0.8'
    assert values['mean_depth_uncertainty_m'] == '0.2'


def test_marker_is_text_in_the_camera_frame(make_bench):
    marker = receive(make_bench(), Marker, 'risk_marker')
    assert marker.type == Marker.TEXT_VIEW_FACING and marker.text
    assert marker.header.frame_id == 'camera_optical_frame'
    assert marker.pose.position.z > 0 and marker.color.a > 0 and marker.scale.z > 0


@pytest.mark.parametrize('task, present, absent', [
    ('segmentation', 'label', 'depth/image'), ('depth', 'depth/image', 'label')])
def test_single_task_checkpoint_has_only_its_topics(make_bench, task, present, absent):
    bench = make_bench(predictor=FakePredictor(tasks=(task,)))
    receive(bench, Image, present)
    overlay = receive(bench, Image, 'overlay')
    assert (overlay.width, overlay.height) == (64, 48)
    topics = {name for name, _ in bench.node.get_publisher_names_and_types_by_node('emu', '/')}
    assert f'/emu/{present}' in topics and f'/emu/{absent}' not in topics
    bench.clear_risk()


def test_best_effort_publisher_is_heard_and_reliable_subscriber_is_served(make_bench):
    bench = make_bench()
    bench._image = bench.helper.create_publisher(Image, 'image', qos_profile_sensor_data)
    receive(bench, Image, 'label')  # the bench listens reliably


def test_maps_are_built_only_for_listeners_but_every_image_is_inferred(make_bench):
    bench = make_bench()
    bench.clear_risk()
    assert bench.predictor.calls[-1]['size'] == (24, 32), 'maps of full size for nobody'
    receive(bench, Image, 'label')
    assert bench.predictor.calls[-1]['size'] is None


def test_first_message_after_subscribing_has_the_size_asked_for(make_bench):
    bench = make_bench()
    bench.clear_risk()
    bench.hang(sec=77)  # an image that nobody listens to: its maps are of the network's size
    labels = bench.listen(Image, 'label')
    bench.until(lambda: bench.node._pipeline.maps.wanted())
    bench.predictor.gate.set()
    bench.until(lambda: labels, send=rgb_image())
    assert (labels[0].width, labels[0].height) == (64, 48)
    assert not any(label.header.stamp.sec == 77 for label in labels)


def test_size_and_encoding_may_change_between_images(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    for width, height in ((64, 48), (80, 40), (64, 48)):
        bench.until(lambda size=(width, height): labels and
                    (labels[-1].width, labels[-1].height) == size, send=rgb_image(width, height))
    mono = rgb_image(30, 20)
    mono.encoding, mono.step, mono.data = 'mono8', 30, to_bytes(np.zeros((20, 30), np.uint8))
    bench.until(lambda: labels[-1].width == 30, send=mono)


def test_compressed_transport_reads_the_resolved_topic(make_bench):
    import cv2
    bench = make_bench(parameters={'transport': 'compressed'},
                       cli_args=['--ros-args', '-r', 'image:=front/image_rect'])
    publisher = bench.helper.create_publisher(CompressedImage, '/front/image_rect/compressed', 1)
    labels = bench.listen(Image, 'label')
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 2] = 255
    data = cv2.imencode('.jpg', red)[1]
    message = CompressedImage(header=rgb_image().header, format='jpeg', data=to_bytes(data))
    bench.until(lambda: publisher.publish(message) or labels)
    assert labels[-1].header.stamp.sec == 1234
    assert (bench.predictor.calls[-1]['image'][..., 0] > 240).all(), 'colours are swapped'
    calls = len(bench.predictor.calls)
    publisher.publish(CompressedImage(header=rgb_image().header, format='jpeg',
                                      data=to_bytes(data[:len(data) // 2])))
    bench.until(lambda: bench.diagnostics()['inference']['dropped_unusable_input'] == '1')
    assert len(bench.predictor.calls) <= calls + 1  # a good one may have been on its way


def test_deactivation_amid_publishing_stops_the_maps(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    maps, risk = bench.node._pipeline.maps, bench.node._risk
    for sec, current in ((7, False), (8, True)):
        frame = Frame(rgb_image(sec=sec).header, np.zeros((48, 64, 3), np.uint8), None)
        maps.publish(frame, bench.predictor(frame.rgb), risk.state, bench.node._settings,
                     lambda answer=current: answer, Gate((), risk.state, lambda: False))
    bench.until(lambda: any(label.header.stamp.sec == 8 for label in labels))
    assert not any(label.header.stamp.sec == 7 for label in labels)


def test_old_session_image_is_thrown_away(make_bench):
    bench = make_bench()
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    bench.hang(sec=99)
    assert bench.transition('deactivate') and bench.transition('activate')
    bench.predictor.gate.set()
    bench.until(lambda: int(bench.diagnostics()['inference']['dropped_deactivated']) >= 1)
    time.sleep(0.2)
    assert not any(label.header.stamp.sec == 99 for label in labels)
