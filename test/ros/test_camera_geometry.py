# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Depth and points of the image that really comes: binned, cut out, resized, rectified.

A point that a full image shows at some place is shown by all the others of the same camera at the
place their camera_info says, at the same depth.
"""

from __future__ import annotations

import cv2
from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.judgement import judge
from emu_perception.checkpoint import Calibration, CheckpointMetadata, Intrinsics, save_checkpoint
from emu_perception.cloud_layout import POINT
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.predictor import Predictor
from emu_perception.ros.camera_info_messages import to_camera_info
from emu_perception.ros.image_messages import to_bytes
from emu_perception.ros.lifecycle_node import load_predictor
from emu_perception.visualization import default_palette
from node_bench import camera_info, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, RegionOfInterest
from std_msgs.msg import Header

FULL = camera_info(256, 192, fx=200.0)


def made(*, binning=(0, 0), roi=(0, 0, 0, 0)) -> CameraInfo:
    """Return the full camera's info with binning (x, y) and a region (x, y, width, height)."""
    info = camera_info(256, 192, fx=200.0)
    info.binning_x, info.binning_y = binning
    info.roi = RegionOfInterest(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    return info


def resized(info: CameraInfo, size: tuple[int, int], to: tuple[int, int]) -> CameraInfo:
    """Return the camera_info of an image of a size that is resized to another."""
    camera = judge(from_message(info), *size, rectified=False).needed()
    return to_camera_info(camera.scaled(*to).info, Header())


# info, size of the image, fx, cx, fy, cy of that image
CASES = {
    'full': (made(), (256, 192), 200.0, 127.5, 200.0, 95.5),
    'binning of 1 is none': (made(binning=(1, 1)), (256, 192), 200.0, 127.5, 200.0, 95.5),
    'binned': (made(binning=(2, 2)), (128, 96), 100.0, 63.75, 100.0, 47.75),
    'binned in x only': (made(binning=(2, 0)), (128, 192), 100.0, 63.75, 200.0, 95.5),
    'region': (made(roi=(100, 60, 128, 96)), (128, 96), 200.0, 27.5, 200.0, 35.5),
    'binned region': (made(binning=(2, 2), roi=(64, 32, 128, 96)), (64, 48), 100.0, 31.75, 100.0,
                      31.75),
    'resized with its info': (
        resized(FULL, (256, 192), (128, 96)), (128, 96), 100.0, 63.5, 100.0, 47.5),
    'resized binned region': (
        resized(made(binning=(2, 2), roi=(64, 32, 128, 96)), (64, 48), (32, 24)), (32, 24),
        50.0, 15.625, 50.0, 15.625)}


@pytest.mark.parametrize('case', CASES)
def test_focal_length_points_and_camera_info_are_those_of_the_image(make_bench, case):
    info, (width, height), fx, cx, fy, cy = CASES[case]
    bench = make_bench()
    infos = bench.listen(CameraInfo, 'depth/camera_info')
    clouds = bench.listen(PointCloud2, 'points')
    bench.until(lambda: infos and clouds, send=rgb_image(width, height), camera_info=info)
    assert bench.predictor.calls[-1]['fx'] == pytest.approx(fx)
    out = infos[-1]
    assert (out.width, out.height, out.binning_x, out.roi.width) == (width, height, 0, 0)
    for matrix, columns in ((out.k, 3), (out.p, 4)):
        found = (matrix[0], matrix[2], matrix[columns + 1], matrix[columns + 2])
        assert found == pytest.approx((fx, cx, fy, cy))
    point = np.frombuffer(clouds[-1].data, POINT).reshape(height, width)[-1, -1]
    assert (point['x'] / 2.0, point['y'] / 2.0) == pytest.approx(
        ((width - 1 - cx) / fx, (height - 1 - cy) / fy), rel=1e-5)


IDENTITY, OF_BINNED = made(), made(binning=(2, 2))
IDENTITY.k = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
OF_BINNED.k, OF_BINNED.p = camera_info(128, 96, fx=200.0).k, camera_info(128, 96, fx=200.0).p


@pytest.mark.parametrize(('info', 'size', 'cx', 'words'), [
    (IDENTITY, (256, 192), 127.5, 'the identity for K'),
    (OF_BINNED, (128, 96), 63.5, 'says binning 2x2 of 256x192')])
def test_a_calibration_that_is_mended_goes_out_mended(make_bench, info, size, cx, words):
    """What depth is scaled by is what a follower reads; a word of it is in the diagnostics."""
    bench = make_bench()
    infos = bench.listen(CameraInfo, 'depth/camera_info')
    bench.until(lambda: infos, send=rgb_image(*size), camera_info=info)
    assert bench.predictor.calls[-1]['fx'] == 200.0
    assert (infos[-1].k[0], infos[-1].p[0], infos[-1].k[2]) == (200.0, 200.0, cx)
    assert (infos[-1].width, infos[-1].binning_x) == (size[0], 0)
    bench.until(lambda: words in bench.diagnostics()['input']['camera_info_warnings'])
    assert bench.diagnostics()['input']['camera_info'] == 'used'


@pytest.mark.parametrize('size', [(128, 96), (256, 160)])
def test_image_that_its_camera_info_does_not_describe_gets_no_focal_length(make_bench, size):
    """Resized or cut out is not to be seen: a guess would be wrong half the time."""
    bench = make_bench(parameters={'fallback_hfov_deg': 0.0})
    bench.until(lambda: '256x192' in bench.diagnostics()['input']['camera_info'],
                send=rgb_image(*size), camera_info=made())
    assert bench.predictor.calls[-1]['fx'] is None


@pytest.mark.parametrize('topic, fx, warned', [
    ('cam/image_rect', 160.0, False), ('cam/image_raw', 200.0, True)])
def test_rectified_stream_takes_p_and_a_distorted_one_is_warned_of(make_bench, topic, fx, warned):
    info = camera_info(256, 192, fx=200.0, p_fx=160.0, d=(0.2, 0.0, 0.0, 0.0, 0.0))
    info.binning_x = info.binning_y = 2
    bench = make_bench(cli_args=['--ros-args', '-r', f'image:={topic}'],
                       parameters={'rectify': 'never'})
    bench._image = bench.helper.create_publisher(Image, topic, 1)
    lines = []
    bench.node._log._logger = type('Lines', (), {
        'info': lines.append, 'warning': lines.append, 'error': lines.append})
    bench.until(lambda: any(call['fx'] for call in bench.predictor.calls),
                send=rgb_image(128, 96), camera_info=info)
    assert bench.predictor.calls[-1]['fx'] == pytest.approx(fx / 2)
    assert any('not rectified' in line for line in lines) is warned


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    network = MultitaskNetwork('tf_efficientnet_lite0', num_classes=5, head_dim=16)
    path = tmp_path_factory.mktemp('model') / 'small.safetensors'
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=(96, 128), classes=tuple('abcde'),
        palette=tuple(default_palette(5)), depth_max=1000.0, calibration=Calibration(),
        intrinsics=Intrinsics(128, 96, 80.0, 80.0, 63.5, 47.5)))
    return path


def message(pixels: np.ndarray) -> Image:
    height, width = pixels.shape[:2]
    image = rgb_image(width, height)
    image.data = to_bytes(pixels)
    return image


@pytest.mark.parametrize('kind', ['full', 'binned', 'region'])
def test_network_gives_the_same_depth_for_every_way_the_camera_sends_its_image(
        make_bench, checkpoint, kind):
    scene = cv2.resize(np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8), (256, 192))
    predictor = Predictor.load(checkpoint, 'cpu')
    pixels, info = scene, made()
    if kind == 'binned':
        pixels = cv2.resize(scene, (128, 96), interpolation=cv2.INTER_AREA)
        info = made(binning=(2, 2))
    elif kind == 'region':
        pixels, info = scene[48:144, 64:192].copy(), made(roi=(64, 48, 128, 96))
    # The region is a picture of its own: what counts is that its focal length stays the lens's.
    expected = predictor(pixels, fx=100.0 if kind == 'binned' else 200.0).depth
    if kind == 'binned':
        whole = predictor(scene, size=(96, 128), fx=200.0).depth
        np.testing.assert_allclose(expected, whole, rtol=0.02)
    bench = make_bench(loader=load_predictor, parameters={
        'model_file': str(checkpoint), 'device': 'cpu'})
    depths = bench.listen(Image, 'depth/image')
    bench.until(lambda: bench.diagnostics()['input']['camera_info'] == 'used',
                send=message(pixels), camera_info=info)
    depths.clear()
    bench.until(lambda: depths, send=message(pixels), camera_info=info)
    depth = np.frombuffer(depths[-1].data, np.float32).reshape(pixels.shape[:2])
    np.testing.assert_allclose(depth, expected, rtol=1e-4)
