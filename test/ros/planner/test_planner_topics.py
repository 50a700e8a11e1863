# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What planners eat, received over DDS from a network whose answer is known."""

from __future__ import annotations

import time
from typing import Any

from emu_perception.cloud_layout import POINT
from emu_perception.ros.lifecycle_node import EmuNode
from emu_perception.ros.planner.table import BUILDERS
from emu_perception.topics import TOPICS
from node_bench import camera_info, FakePredictor, rgb_image
import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_srvs.srv import Trigger

LABEL = np.tile((np.arange(64) % 3).astype(np.uint8), (48, 1))  # floor, wall, chair in columns
CLOUDS = ('points/filtered', 'points/ground', 'points/obstacles')
SCAN = {'scan_frame': 'level', 'scan_camera_height_m': 1.0, 'scan_min_height_m': -9.0,
        'scan_max_height_m': 9.0, 'ground_max_height_m': 100.0}


class Room(FakePredictor):
    """As the fake, but depth and labels can be set."""

    depth: np.ndarray | None = None
    label: np.ndarray | None = None

    def __call__(self, image: np.ndarray, **options: Any) -> Any:
        """Answer."""
        found = super().__call__(image, **options)
        if found.size == (48, 64):
            for name in ('depth', 'label'):
                if getattr(self, name) is not None:
                    found.maps[name][:] = getattr(self, name)
        return found


def points(cloud: PointCloud2) -> np.ndarray:
    """Return the points of a cloud without order."""
    assert cloud.height == 1 and cloud.is_dense
    found = np.frombuffer(bytes(cloud.data), POINT)
    assert len(found) == cloud.width and all(np.isfinite(found[axis]).all() for axis in 'xyz')
    return found


def newest(bench: Any, messages: list[Any]) -> Any:
    """Return a message of an image sent from now on."""
    del messages[:]
    bench.until(lambda: len(messages) > 1, send=rgb_image(), camera_info=camera_info())
    return messages[-1]


def silent(bench: Any, messages: list[Any], other: list[Any]) -> bool:
    """Tell whether nothing came while several messages of another topic did."""
    newest(bench, other)
    del messages[:], other[:]
    bench.until(lambda: len(other) > 4, send=rgb_image(), camera_info=camera_info())
    return not messages


def test_every_topic_for_planners_has_a_builder():
    assert set(BUILDERS) == {name for name, topic in TOPICS.items() if topic.planner}


def test_obstacles_are_all_that_is_not_named_ground_and_the_unlabelled_too(make_bench):
    room = Room()
    room.label = LABEL.copy()
    room.label[:, 1] = 255
    bench = make_bench(predictor=room, parameters={'ground_classes': ['floor'],
                                                   'points_stride': 1})
    clouds = [bench.listen(PointCloud2, name) for name in CLOUDS[1:]]
    ground, obstacles = (points(newest(bench, one)) for one in clouds)
    known = 48 * 64 - 2  # +inf and NaN of the first row
    assert set(ground['label']) == {0} and set(obstacles['label']) == {1, 2, 255}
    assert len(ground) + len(obstacles) == known
    assert clouds[1][-1].header.stamp.nanosec == 567
    assert clouds[1][-1].header.frame_id == 'camera_optical_frame'
    assert (obstacles['z'] == 2.0).all()
    assert obstacles['x'].max() == pytest.approx((62 - 31.5) / 50 * 2)


def test_wall_that_is_labelled_floor_is_an_obstacle_where_the_mounting_is_known(make_bench):
    room = Room()
    room.label = np.zeros((48, 64), np.uint8)  # all floor, says the network
    room.depth = np.full((48, 64), 2.0, np.float32)  # a wall across the way
    room.depth[44:] = 1.0 / ((np.arange(44, 48) - 23.5) / 50)[:, None]  # the floor before it
    bench = make_bench(predictor=room, parameters={
        **SCAN, 'ground_classes': ['floor'], 'points_stride': 1, 'points_sigma_margin': 1.0,
        'scan_min_height_m': 0.5, 'scan_max_height_m': 1.5, 'ground_max_height_m': 0.2})
    clouds = [bench.listen(PointCloud2, name) for name in CLOUDS[1:]]
    scans = bench.listen(LaserScan, 'scan')
    ground, obstacles = (points(newest(bench, one)) for one in clouds)
    # By the depth as measured: sigma moves the floor upwards along its rays.
    height = 1.0 - (np.arange(48) - 23.5) / 50 * room.depth[:, 0]
    assert len(ground) == 64 * (np.abs(height) <= 0.2).sum() and len(ground) >= 64 * 4
    assert len(obstacles) == 48 * 64 - len(ground)
    assert np.isfinite(np.array(newest(bench, scans).ranges)).any()
    # Not known how high the camera is: only the label speaks.
    assert bench.set(scan_camera_height_m=0.0).successful
    assert len(points(newest(bench, clouds[1]))) == 0
    assert len(points(newest(bench, clouds[0]))) == 48 * 64


def test_without_a_ground_class_all_is_obstacle_and_nothing_ground(make_bench):
    bench = make_bench()
    ground, obstacles = (bench.listen(PointCloud2, name) for name in CLOUDS[1:])
    assert set(points(newest(bench, obstacles))['label']) == {0, 1, 2} and not ground
    assert bench.set(ground_classes=['floor', 'wall', 'chair']).successful
    assert len(points(newest(bench, obstacles))) == 0, 'all is ground, and that is known'
    # The confidence is 0.8.
    assert bench.set(ground_min_confidence=0.81).successful
    assert set(points(newest(bench, obstacles))['label']) == {0, 1, 2}, 'unsure, yet free'
    assert bench.set(ground_min_confidence=0.79).successful
    assert len(points(newest(bench, obstacles))) == 0


def test_pole_before_a_wall_survives_the_stride(make_bench):
    room = Room()
    room.depth = np.full((48, 64), 4.0, np.float32)
    room.depth[:, 33] = 1.0
    bench = make_bench(predictor=room, parameters={'points_stride': 8})
    clouds = bench.listen(PointCloud2, 'points/obstacles')
    found = points(newest(bench, clouds))
    assert len(found) == 6 * 8 and (found['z'] == 1.0).sum() == 6


@pytest.mark.parametrize('limits, kept', [
    ({}, 12 * 16), ({'filtered_max_entropy': 0.7}, 6 * 16),
    ({'filtered_max_relative_sigma': 0.15}, 6 * 16), ({'filtered_classes': ['wall']}, 12 * 5),
    ({'filtered_max_sigma_m': 0.3}, 6 * 16), ({'filtered_max_range_m': 2.05}, None),
    ({'filtered_voxel_m': 10.0}, 4)])
def test_filters_leave_what_passes_them_and_are_live(make_bench, limits, kept):
    bench = make_bench()
    clouds = bench.listen(PointCloud2, 'points/filtered')
    assert bench.set(**limits).successful
    found = points(newest(bench, clouds))
    if kept is None:
        kept = (np.sqrt(found['x'] ** 2 + found['y'] ** 2 + found['z'] ** 2) <= 2.05).sum()
        assert 0 < kept < 12 * 16
    assert len(found) == kept


@pytest.mark.parametrize('limits', [
    {'filtered_max_relative_sigma': 0.01}, {'filtered_max_range_m': 0.5},
    {'filtered_max_entropy': 0.7, 'max_filtered_share': 0.4}])
def test_filtered_cloud_that_lost_too_much_or_all_is_withheld_and_that_is_said(make_bench, limits):
    bench = make_bench(parameters=limits)
    clouds, labels = bench.listen(PointCloud2, 'points/filtered'), bench.listen(Image, 'label')
    assert silent(bench, clouds, labels)
    assert int(bench.diagnostics()['inference']['withheld_too_little_known']) > 0


@pytest.mark.parametrize('topic, kind', [*((name, PointCloud2) for name in CLOUDS),
                                         ('scan', LaserScan)])
def test_where_much_depth_is_unknown_nothing_is_sent_that_looks_free(make_bench, topic, kind):
    room = Room()
    room.depth = np.full((48, 64), 2.0, np.float32)
    bench = make_bench(predictor=room, parameters={**SCAN, 'ground_classes': ['floor'],
                                                   'max_filtered_share': 0.5,
                                                   'max_unknown_share': 0.5})
    messages, labels = bench.listen(kind, topic), bench.listen(Image, 'label')
    newest(bench, messages)
    room.depth[:30] = np.nan
    assert silent(bench, messages, labels)
    room.depth[:30] = np.inf  # known to be far
    newest(bench, messages)


@pytest.mark.parametrize('topic, kind', [*((name, PointCloud2) for name in CLOUDS),
                                         ('scan', LaserScan)])
def test_without_a_calibration_there_are_no_metres_and_with_the_gate_none_of_a_bad_image(
        make_bench, topic, kind):
    parameters = {**SCAN, 'ground_classes': ['floor'], 'fallback_hfov_deg': 0.0}
    bench = make_bench(parameters=parameters)
    messages, labels = bench.listen(kind, topic), bench.listen(Image, 'label')
    bench.until(lambda: len(labels) > 4, send=rgb_image())
    assert not messages
    bench.until(lambda: 'no camera_info' in bench.diagnostics()['input']['withheld'],
                send=rgb_image())
    assert f'~/{topic}' in bench.diagnostics()['input']['withheld']
    newest(bench, messages)
    bench.predictor.mean_entropy = 1.2  # above its threshold
    newest(bench, messages)
    assert bench.set(gate=['points']).successful
    assert silent(bench, messages, labels)


@pytest.mark.parametrize('topic, kind', [('points/obstacles', PointCloud2),
                                         ('points/ground', PointCloud2), ('scan', LaserScan)])
def test_what_stops_a_robot_asks_for_more_than_what_maps(make_bench, topic, kind):
    room = Room()
    room.depth = np.full((48, 64), 2.0, np.float32)
    bench = make_bench(predictor=room, parameters={**SCAN, 'ground_classes': ['floor']})
    messages, labels = bench.listen(kind, topic), bench.listen(Image, 'label')
    mapped = bench.listen(PointCloud2, 'points/filtered')
    newest(bench, messages)
    room.depth[:24] = np.nan  # a half: above max_unknown_share, below max_filtered_share
    assert silent(bench, messages, labels)
    newest(bench, mapped)


@pytest.mark.parametrize('topic, kind', [('points/obstacles', PointCloud2),
                                         ('scan', LaserScan)])
def test_one_direction_without_depth_withholds_what_would_leave_an_obstacle_out(
        make_bench, topic, kind):
    room = Room()
    room.depth = np.full((48, 64), 2.0, np.float32)
    bench = make_bench(predictor=room, parameters={**SCAN, 'points_stride': 4})
    messages, labels = bench.listen(kind, topic), bench.listen(Image, 'label')
    newest(bench, messages)
    room.depth[4:, 28:36] = np.nan  # a post: an eighth of the image
    assert silent(bench, messages, labels)


@pytest.mark.parametrize('topic, kind', [*((name, PointCloud2) for name in CLOUDS),
                                         ('scan', LaserScan)])
def test_an_image_of_no_depth_at_all_is_withheld_whatever_the_share(make_bench, topic, kind):
    room = Room()
    room.depth = np.full((48, 64), np.nan, np.float32)
    bench = make_bench(predictor=room, parameters={**SCAN, 'ground_classes': ['floor'],
                                                   'max_filtered_share': 1.0,
                                                   'max_unknown_share': 1.0})
    messages, labels = bench.listen(kind, topic), bench.listen(Image, 'label')
    assert silent(bench, messages, labels)


def test_margin_leaves_obstacles_in_the_scan_of_a_high_camera_and_mapped_points_in_place(
        make_bench):
    room = Room()
    room.depth = np.full((48, 64), np.inf, np.float32)
    room.depth[40] = 2.0  # 0.66 m below the camera, sigma 0.4 m
    bench = make_bench(predictor=room, parameters={
        **SCAN, 'scan_min_height_m': 0.1, 'scan_max_height_m': 0.5, 'points_sigma_margin': 4.0,
        'points_stride': 1, 'max_filtered_share': 1.0})
    scan = newest(bench, bench.listen(LaserScan, 'scan'))
    # On its way nearer, to 0.4 m, its ray leaves the band upwards 0.5 m below the camera.
    assert scan.ranges[len(scan.ranges) // 2] == pytest.approx(0.5 / (16.5 / 50), abs=0.01)
    mapped = points(newest(bench, bench.listen(PointCloud2, 'points/filtered')))
    assert set(mapped['z']) == {2.0}


def test_scan_of_a_longer_lens_has_no_range_above_its_largest(make_bench):
    room = Room()
    room.depth = np.full((48, 64), 25.0, np.float32)  # 10 m at the network, another focal length
    bench = make_bench(predictor=room, parameters=SCAN)
    scan = newest(bench, bench.listen(LaserScan, 'scan'))
    assert np.nanmax(np.array(scan.ranges)) < scan.range_max


def test_scan_is_of_obstacles_in_the_level_frame_with_the_images_stamp(make_bench):
    room = Room()
    room.depth = np.full((48, 64), 3.0, np.float32)
    room.depth[:, :8] = np.inf
    bench = make_bench(predictor=room, parameters=SCAN)
    scan = newest(bench, bench.listen(LaserScan, 'scan'))
    assert scan.header.frame_id == 'level'
    assert (scan.header.stamp.sec, scan.header.stamp.nanosec) == (1234, 567)
    ranges = np.array(scan.ranges)
    assert not np.isinf(ranges).any() and np.isnan(ranges[-3:]).all(), 'left is the last'
    assert np.nanmin(ranges) == pytest.approx(3.0, abs=1e-3)
    assert scan.range_min == 0.0 and np.nanmax(ranges) < scan.range_max
    assert scan.angle_min + (len(ranges) - 1) * scan.angle_increment == pytest.approx(
        scan.angle_max)
    bench.set(scan_min_height_m=1.0, scan_max_height_m=1.1)
    assert bench.set(ground_classes=['floor', 'wall', 'chair']).successful
    assert np.isnan(np.array(newest(bench, bench.received['scan']).ranges)).all()


@pytest.mark.parametrize('missing', ['scan_frame', 'scan_camera_height_m'])
def test_scan_needs_frame_and_height(make_bench, missing):
    bench = make_bench(parameters={**SCAN, missing: type(SCAN[missing])()})
    assert silent(bench, bench.listen(LaserScan, 'scan'), bench.listen(Image, 'label'))


def test_mask_is_of_the_named_classes_with_the_labels_camera_and_stamp(make_bench):
    bench = make_bench(parameters={'mask_classes': ['chair', 'wall']})
    info = bench.listen(CameraInfo, 'camera_info')
    mask = newest(bench, bench.listen(Image, 'mask'))
    assert (mask.encoding, mask.header.frame_id) == ('mono8', 'camera_optical_frame')
    assert (mask.width, mask.height) == (info[-1].width, info[-1].height)
    assert mask.header.stamp == info[-1].header.stamp
    np.testing.assert_array_equal(
        np.frombuffer(mask.data, np.uint8).reshape(48, 64), np.where(LABEL == 0, 0, 255))
    assert bench.set(unknown_label_entropy=0.7, mask_classes=['floor']).successful
    mask = np.frombuffer(newest(bench, bench.received['mask']).data, np.uint8).reshape(48, 64)
    assert (mask[24:] == 0).all() and (mask[:24] == np.where(LABEL == 0, 255, 0)[:24]).all()


def test_without_classes_there_is_no_mask_rather_than_one_that_says_nothing_moves(make_bench):
    bench = make_bench()
    assert silent(bench, bench.listen(Image, 'mask'), bench.listen(Image, 'label'))


@pytest.mark.parametrize('topic, kind, advice', [
    ('scan', LaserScan, 'set scan_frame and scan_camera_height_m'),
    ('mask', Image, 'mask_classes'), ('points/ground', PointCloud2, 'ground_classes')])
def test_topic_that_parameters_do_not_ask_for_tells_its_listener_which(
        make_bench, monkeypatch, topic, kind, advice):
    bench = make_bench()
    said: list[str] = []
    once = bench.node._log.once
    monkeypatch.setattr(bench.node._log, 'once', lambda key, text, **options: (
        said.append(text), once(key, text, **options)))
    assert silent(bench, bench.listen(kind, topic), bench.listen(Image, 'label'))
    assert any(f'no ~/{topic}' in text and advice in text for text in said)
    assert int(bench.diagnostics()['inference']['withheld_too_little_known']) == 0


def test_points_come_nearer_by_the_margin_here_too(make_bench):
    bench = make_bench(parameters={'points_sigma_margin': 3.0, 'points_stride': 1})
    found = points(newest(bench, bench.listen(PointCloud2, 'points/obstacles')))
    # Depth 2 m; sigma 0.2 m, in the lower half 0.4 m.
    np.testing.assert_allclose(np.unique(found['z'].round(4)), [0.8, 1.4], rtol=1e-5)


def test_what_the_margin_brings_to_the_camera_hides_no_obstacle_of_its_block(make_bench):
    """A costmap clears the footprint, where such a point is: the pole has to be there too."""
    room = Room()
    room.depth = np.full((48, 64), 1.9, np.float32)
    room.depth[:, 33] = 5.0
    bench = make_bench(predictor=room, parameters={'points_sigma_margin': 10.0,
                                                   'points_stride': 8})
    found = points(newest(bench, bench.listen(PointCloud2, 'points/obstacles')))
    # Sigma is 0.2 m in the upper, 0.4 m in the lower half.
    assert [(found['z'].round(4) == z).sum() for z in (3.0, 1.0, 0.0)] == [3, 3, 6 * 8]


@pytest.mark.parametrize('name', ['ground_classes', 'mask_classes', 'filtered_classes'])
def test_a_class_that_the_checkpoint_lacks_is_refused_by_name(make_bench, name):
    bench = make_bench()
    refused = bench.set(**{name: ['flor']})
    assert not refused.successful and name in refused.reason
    assert "did you mean 'floor'" in refused.reason
    assert bench.set(**{name: ['floor']}).successful
    assert bench.transition('deactivate') and bench.transition('cleanup')
    assert bench.set(**{name: ['flor']}).successful  # no checkpoint to ask yet
    assert not bench.transition('configure')
    assert bench.until(lambda: name in bench.diagnostics()['model']['message'])


def test_a_band_of_heights_that_holds_nothing_is_refused(ros):
    with pytest.raises(Exception, match='scan_min_height_m is 2.*scan_max_height_m, 1.5'):
        EmuNode(predictor_loader=FakePredictor().load,
                parameter_overrides=[Parameter('scan_min_height_m', value=2.0)])


@pytest.mark.parametrize('task, present, absent', [
    ('segmentation', {'mask'}, {'scan', *CLOUDS}),
    ('depth', {'scan', 'points/filtered', 'points/obstacles'}, {'mask', 'points/ground'})])
def test_single_task_checkpoint_has_what_its_task_allows(make_bench, task, present, absent):
    bench = make_bench(predictor=FakePredictor(tasks=(task,)), parameters={'points_stride': 1})
    there = {name for name, _ in bench.node.get_publisher_names_and_types_by_node('emu', '/')}
    assert {f'/emu/{name}' for name in present} <= there
    assert not {f'/emu/{name}' for name in absent} & there
    if task == 'depth':
        found = points(newest(bench, bench.listen(PointCloud2, 'points/obstacles')))
        assert set(found['label']) == {255} and len(found) == 48 * 64 - 2


def test_points_stay_organised_and_aligned_with_the_label_whatever_the_filters(make_bench):
    bench = make_bench(parameters={
        'filtered_max_entropy': 0.1, 'filtered_classes': ['wall'], 'points_stride': 8,
        'ground_classes': ['floor']})
    clouds, labels = bench.listen(PointCloud2, 'points'), bench.listen(Image, 'label')
    cloud = newest(bench, clouds)
    assert (cloud.width, cloud.height) == (labels[-1].width, labels[-1].height) == (64, 48)


def paced(bench: Any, count: int, period_s: float) -> None:
    """Send images at a rate, each with a stamp of its own."""
    for number in range(count):
        bench.send(rgb_image(sec=2000 + number), None)
        time.sleep(period_s)


def test_max_rate_thins_the_maps_but_no_image_is_left_unjudged(make_bench):
    bench = make_bench(parameters={'max_rate_hz': 5.0})
    labels = bench.listen(Image, 'label')
    bench.until(lambda: labels, send=rgb_image())
    del labels[:]
    before, begun = len(bench.predictor.calls), time.monotonic()
    paced(bench, 40, 0.05)

    def settled() -> bool:
        inference, received = bench.diagnostics()['inference'], bench.diagnostics()['input']
        # A busy machine may hand over two images at once, of which the older is dropped.
        return int(inference['processed']) + int(inference['dropped_newer_image']) == int(
            received['received'])
    bench.until(settled)
    # One more for the period that was under way, one for where the count begins.
    assert 1 <= len(labels) <= (time.monotonic() - begun) * 5.0 + 2
    assert len(bench.predictor.calls) - before > 2 * len(labels), 'the flag is of every image'
    assert bench.predictor.calls[-1]['size'] in (None, (24, 32))
    assert bench.set(max_rate_hz=0.0).successful
    newest(bench, labels)


def test_one_image_on_request(make_bench):
    bench = make_bench(parameters={'on_request': True})
    client = bench.helper.create_client(Trigger, f'/{bench.name}/publish_next')
    assert client.wait_for_service(20.0)
    refused = bench._call(client, Trigger.Request())
    assert not refused.success and 'nobody listens' in refused.message
    labels, depths = bench.listen(Image, 'label'), bench.listen(Image, 'depth/image')
    bench.until(lambda: 'of the next image: label, depth/image' == bench._call(
        client, Trigger.Request()).message)
    paced(bench, 6, 0.1)
    bench.until(lambda: labels and depths)
    assert len(labels) == len(depths) == 1, 'of one image, and of no more'
    assert labels[0].header == depths[0].header
    calls = len(bench.predictor.calls)
    assert bench.transition('deactivate')
    assert bench._call(client, Trigger.Request()).message == 'the node is not active'
    assert calls >= 3, 'the flag is of every image'


def test_request_that_an_image_failed_to_answer_is_answered_by_the_next(make_bench):
    bench = make_bench(parameters={'on_request': True})
    client = bench.helper.create_client(Trigger, f'/{bench.name}/publish_next')
    assert client.wait_for_service(20.0)
    labels = bench.listen(Image, 'label')
    bench.predictor.fails = ValueError('once')
    bench.until(lambda: bench._call(client, Trigger.Request()).success)
    bench.until(lambda: int(bench.diagnostics()['inference']['dropped_failure']) > 0,
                send=rgb_image())
    assert not labels
    bench.predictor.fails = None
    bench.until(lambda: labels, send=rgb_image(sec=2222))
