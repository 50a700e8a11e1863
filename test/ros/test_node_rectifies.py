# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A node before an image_raw, over DDS: rectified inside, and everything that goes out agrees."""

from __future__ import annotations

from emu_perception.cameras.calibration import from_message
from emu_perception.cameras.judgement import judge
from emu_perception.cloud_layout import POINT
from emu_perception.ros.image_messages import to_bytes
from node_bench import camera_info, rgb_image
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

pytestmark = pytest.mark.ros
WIDTH, HEIGHT = 128, 96
BARREL = (-0.3, 0.1, 0.001, -0.001, 0.0)


def distorted(model: str = 'plumb_bob', d: tuple[float, ...] = BARREL) -> CameraInfo:
    """Return a camera_info with K, another P, and a distortion."""
    info = camera_info(WIDTH, HEIGHT, fx=100.0, p_fx=95.0, d=d)
    info.distortion_model = model
    return info


def rectification(info: CameraInfo):
    """Return the maps that an image of this camera_info goes through."""
    camera = judge(from_message(info), WIDTH, HEIGHT, rectified=False, rectify=True).needed()
    return camera.rectification


def pixels(message: Image) -> np.ndarray:
    """Return rgb of an Image."""
    return np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(('model', 'd'), [
    ('plumb_bob', BARREL), ('rational_polynomial', (0.4, -0.3, 0.0, 0.0, 0.02, 0.8, -0.2, 0.03)),
    ('equidistant', (0.0,) * 4)])
def test_image_camera_info_and_points_are_of_one_rectified_camera(make_bench, model, d):
    bench = make_bench()
    info, image = distorted(model, d), rgb_image(WIDTH, HEIGHT)
    infos = [bench.listen(CameraInfo, topic) for topic in ('camera_info', 'depth/camera_info')]
    clouds, depths = bench.listen(PointCloud2, 'points'), bench.listen(Image, 'depth/image')
    bench.until(lambda: bench.diagnostics()['input']['rectified_here'].startswith(model),
                send=image, camera_info=info)
    for received in (*infos, clouds, depths):
        received.clear()
    bench.until(lambda: all(infos) and clouds and depths, send=image, camera_info=info)
    call = bench.predictor.calls[-1]
    assert call['fx'] == pytest.approx(95.0)
    np.testing.assert_array_equal(call['image'], rectification(info).image(pixels(image)))
    for out in (infos[0][-1], infos[1][-1]):
        assert out.distortion_model == 'plumb_bob' and not any(out.d)
        assert np.reshape(out.r, (3, 3)).tolist() == np.eye(3).tolist()
        p = np.reshape(out.p, (3, 4))
        assert p[:, :3].ravel().tolist() == pytest.approx(list(out.k)) and not p[:, 3].any()
        assert (out.header.stamp.sec, out.header.frame_id) == (1234, 'camera_optical_frame')
        # A point lies where the camera_info beside it projects it: at its own pixel.
        points = np.frombuffer(clouds[-1].data, POINT).reshape(HEIGHT, WIDTH)[1:]
        u = out.k[0] * points['x'] / points['z'] + out.k[2]
        v = out.k[4] * points['y'] / points['z'] + out.k[5]
        np.testing.assert_allclose(u, np.tile(np.arange(WIDTH), (HEIGHT - 1, 1)), atol=1e-3)
        np.testing.assert_allclose(v[:, 0], np.arange(1, HEIGHT), atol=1e-3)


@pytest.mark.parametrize(('topic', 'rectify', 'fx'), [
    ('cam/image_rect', 'auto', 95.0), ('cam/image_rect', 'always', 95.0),
    ('cam/image_raw', 'never', 100.0)])
def test_a_topic_that_says_it_is_rectified_is_so_again_only_where_that_is_asked_for(
        make_bench, topic, rectify, fx):
    bench = make_bench(cli_args=['--ros-args', '-r', f'image:={topic}'],
                       parameters={'rectify': rectify})
    bench._image = bench.helper.create_publisher(Image, topic, 1)
    image, info = rgb_image(WIDTH, HEIGHT), distorted()
    bench.until(lambda: any(call['fx'] == pytest.approx(fx) for call in bench.predictor.calls),
                send=image, camera_info=info)
    expected = pixels(image)
    if rectify == 'always':
        expected = rectification(info).image(expected)
    np.testing.assert_array_equal(bench.predictor.calls[-1]['image'], expected)
    bench.received['/diagnostics'].clear()  # The last one may be older than the image.
    said = bench.diagnostics()['input']['rectified_here']
    assert (said != 'no') is (rectify == 'always')


def test_a_folder_named_rect_gets_metres_only_once_the_user_says_what_its_images_are(make_bench):
    topic = 'camera/rect/image'
    bench = make_bench(cli_args=['--ros-args', '-r', f'image:={topic}'])
    bench._image = bench.helper.create_publisher(Image, topic, 1)
    depths, labels = bench.listen(Image, 'depth/image'), bench.listen(Image, 'label')
    image, info = rgb_image(WIDTH, HEIGHT), distorted()
    bench.until(lambda: 'a folder of the image topic is named rect'
                in bench.diagnostics()['input']['withheld'], send=image, camera_info=info)
    depths.clear()
    labels.clear()
    bench.until(lambda: len(labels) > 3, send=image, camera_info=info)
    assert not depths and bench.risk() is True
    assert bench.diagnostics()['risk']['reason'] == 'no_calibration'
    for mode, shown in (('never', pixels(image)),
                        ('always', rectification(info).image(pixels(image)))):
        assert bench.set(rectify=mode).successful
        depths.clear()
        bench.until(lambda: len(depths) > 1, send=image, camera_info=info)
        call = bench.predictor.calls[-1]
        assert call['fx'] == pytest.approx(95.0)
        np.testing.assert_array_equal(call['image'], shown)


@pytest.mark.parametrize(('parameters', 'info', 'words'), [
    ({}, distorted('double_sphere'), "the model 'double_sphere'"),
    ({}, distorted(d=(0.1, 0.2)), '2 coefficients'),
    ({'rectify': 'always'}, None, 'nothing says how to rectify'),
    ({'rectify': 'always', 'use_camera_info': False}, distorted(), 'use_camera_info')])
def test_what_cannot_be_rectified_has_no_metres_even_by_a_known_field_of_view(
        make_bench, parameters, info, words):
    """fallback_hfov_deg, which the bench sets, says how far a pixel is, not where it looks."""
    bench = make_bench(parameters=parameters)
    depths = bench.listen(Image, 'depth/image')
    clouds = bench.listen(PointCloud2, 'points')
    labels = bench.listen(Image, 'label')
    # Whatever came before its camera_info.
    bench.until(lambda: words in bench.diagnostics()['input']['withheld'],
                send=rgb_image(WIDTH, HEIGHT), camera_info=info)
    for received in (depths, clouds, labels):
        received.clear()
    bench.until(lambda: len(labels) > 3, send=rgb_image(WIDTH, HEIGHT), camera_info=info)
    assert not depths and not clouds and bench.risk() is True
    assert bench.diagnostics()['risk']['reason'] == 'no_calibration'


def hint(metres: np.ndarray, sec: int) -> Image:
    """Return a depth camera's image."""
    message = Image(width=WIDTH, height=HEIGHT, step=4 * WIDTH, encoding='32FC1',
                    data=to_bytes(metres))
    message.header.stamp.sec, message.header.frame_id = sec, 'camera_optical_frame'
    return message


@pytest.mark.parametrize('topic', ['aligned/image_raw', 'depth_registered/image_rect'])
def test_a_depth_hint_is_joined_in_where_the_rectified_image_shows_it(make_bench, topic):
    """One that is aligned to the raw image goes through its maps; one of P's view does not."""
    bench = make_bench(cli_args=['--ros-args', '-r', f'depth_hint:={topic}'],
                       parameters={'depth_hint': True})
    publisher = bench.helper.create_publisher(Image, topic, 1)
    depths, sources = (bench.listen(Image, name) for name in ('depth/image', 'depth/source'))
    info = distorted()
    metres = np.random.default_rng(0).uniform(2.0, 3.0, (HEIGHT, WIDTH)).astype(np.float32)
    metres[:, 60:] = 0.0
    bench.until(lambda: publisher.get_subscription_count() == 1)
    sec = 100

    def joined() -> bool:
        nonlocal sec
        sec += 1
        publisher.publish(hint(metres, sec))
        bench.send(rgb_image(WIDTH, HEIGHT, sec=sec, nanosec=0), info)
        return bool(sources) and bool((np.frombuffer(sources[-1].data, np.uint8) == 2).any())
    bench.until(joined)
    bench.until(lambda: depths and depths[-1].header.stamp == sources[-1].header.stamp)
    expected = metres if 'rect' in topic else rectification(info).depth(metres)
    source = np.frombuffer(sources[-1].data, np.uint8).reshape(HEIGHT, WIDTH)
    depth = np.frombuffer(depths[-1].data, np.float32).reshape(HEIGHT, WIDTH)
    assert np.array_equal(source == 2, expected > 0)
    assert np.array_equal(depth[expected > 0], expected[expected > 0])


def test_a_depth_hint_of_another_view_is_refused_and_said(make_bench):
    bench = make_bench(cli_args=['--ros-args', '-r', 'depth_hint:=depth_registered/image_rect'],
                       parameters={'depth_hint': True, 'rectify': 'never'})
    publisher = bench.helper.create_publisher(Image, 'depth_registered/image_rect', 1)
    sources = bench.listen(Image, 'depth/source')
    bench.until(lambda: publisher.get_subscription_count() == 1)
    sec = 100

    def refused() -> bool:
        nonlocal sec
        sec += 1
        publisher.publish(hint(np.full((HEIGHT, WIDTH), 2.0, np.float32), sec))
        bench.send(rgb_image(WIDTH, HEIGHT, sec=sec, nanosec=0), distorted())
        return 'image here is not rectified' in bench.diagnostics()['input']['warnings']
    bench.until(refused)
    assert not any((np.frombuffer(one.data, np.uint8) == 2).any() for one in sources)


def test_a_raw_depth_hint_beside_an_image_that_is_rectified_elsewhere_is_refused(make_bench):
    """The driver's aligned depth is image_raw's, and beside image_rect lies the lens's D."""
    bench = make_bench(cli_args=['--ros-args', '-r', 'image:=cam/image_rect', '-r',
                                 'depth_hint:=aligned/image_raw'],
                       parameters={'depth_hint': True})
    bench._image = bench.helper.create_publisher(Image, 'cam/image_rect', 1)
    publisher = bench.helper.create_publisher(Image, 'aligned/image_raw', 1)
    bench.until(lambda: publisher.get_subscription_count() == 1)
    sec = 100

    def refused() -> bool:
        nonlocal sec
        sec += 1
        publisher.publish(hint(np.full((HEIGHT, WIDTH), 2.0, np.float32), sec))
        bench.send(rgb_image(WIDTH, HEIGHT, sec=sec, nanosec=0), distorted())
        return 'it is aligned to the raw image' in bench.diagnostics()['input']['warnings']
    bench.until(refused)
    assert bench.diagnostics()['input']['depth_hint_used'] == '0'


def test_camera_info_and_points_of_an_image_that_is_not_rectified_are_of_one_camera(make_bench):
    """Without distortion the image is K's, whatever P says; readers of depth take P."""
    bench = make_bench()
    info, image = distorted(d=(0.0,) * 5), rgb_image(WIDTH, HEIGHT)
    infos = bench.listen(CameraInfo, 'depth/camera_info')
    clouds = bench.listen(PointCloud2, 'points')

    def of_this_camera() -> bool:
        return bool(clouds and infos) and infos[-1].k[0] == pytest.approx(100.0)
    bench.until(of_this_camera, send=image, camera_info=info)
    clouds.clear()
    bench.until(lambda: clouds, send=image, camera_info=info)
    points = np.frombuffer(clouds[-1].data, POINT).reshape(HEIGHT, WIDTH)[1:]
    u = infos[-1].p[0] * points['x'] / points['z'] + infos[-1].p[2]
    np.testing.assert_allclose(u, np.tile(np.arange(WIDTH), (HEIGHT - 1, 1)), atol=1e-3)


def test_the_parameter_is_live(make_bench):
    bench = make_bench()
    for value, fx in (('never', 100.0), ('auto', 95.0)):
        assert bench.set(rectify=value).successful
        bench.predictor.calls.clear()
        bench.until(lambda wanted=fx: any(call['fx'] == pytest.approx(wanted)
                                          for call in bench.predictor.calls),
                    send=rgb_image(WIDTH, HEIGHT), camera_info=distorted())
    assert not bench.set(rectify='sometimes').successful
