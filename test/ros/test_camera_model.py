# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Focal length and principal point of the image that comes, and of the map that goes."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from emu_perception.errors import InputError
from emu_perception.recordings.camera import looks_rectified
from emu_perception.ros.camera_model import camera_model, scaled_camera_info
from emu_perception.ros.camera_source import CameraSource
from node_bench import camera_info
import numpy as np
import pytest
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header


def test_rectified_topic_takes_p_and_raw_topic_takes_k():
    info = camera_info(fx=50.0, p_fx=40.0, d=(0.1, 0.0, 0.0, 0.0, 0.0))
    assert camera_model(info, rectified=True).fx == 40.0
    raw = camera_model(info, rectified=False)
    assert raw.fx == 50.0 and raw.distorted
    assert not camera_model(info, rectified=True).distorted


@pytest.mark.parametrize('topic, rectified', [
    ('/camera/image_rect', True), ('/cam/image_rect_color', True),
    ('/cam/image_rect/compressed', True), ('/cam/image_raw', False), ('/rectified/image', False),
    ('/image', False), ('/cam/image_unrectified', False)])
def test_rectified_topics_are_known_by_name(topic, rectified):
    assert looks_rectified(topic) is rectified


@pytest.mark.parametrize('fx', [0.0, -1.0, float('nan'), float('inf')])
def test_uncalibrated_camera_is_refused(fx):
    info = camera_info(fx=fx)
    with pytest.raises(InputError, match='not calibrated'):
        camera_model(info, rectified=False)


def test_binning_and_roi_describe_the_image_that_is_sent():
    info = camera_info(640, 480, fx=500.0)
    info.binning_x = info.binning_y = 2
    info.roi = RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300)
    camera = camera_model(info, rectified=False)
    assert (camera.width, camera.height) == (200, 150)
    assert camera.fx == 250.0
    assert camera.cx == pytest.approx((319.5 - 100) / 2)
    assert camera.cy == pytest.approx((239.5 - 60) / 2)
    out = scaled_camera_info(camera, 200, 150, Header(frame_id='f'))
    again = camera_model(out, rectified=False)
    assert (again.fx, again.cx, again.cy) == pytest.approx((camera.fx, camera.cx, camera.cy))
    assert (out.binning_x, out.roi.width, out.width, out.height) == (0, 0, 200, 150)
    assert out.header.frame_id == 'f'


def test_scaled_camera_sees_the_same_point_at_the_scaled_pixel():
    info = camera_info(64, 48, fx=50.0)
    info.p[3] = -5.0
    camera = camera_model(info, rectified=True)
    out = scaled_camera_info(camera, 32, 16, Header())
    point = np.array([0.3, -0.2, 2.0, 1.0])
    u, v, w = np.reshape(info.p, (3, 4)) @ point
    u2, v2, w2 = np.reshape(out.p, (3, 4)) @ point
    # Image edges, half a pixel outside of the first and last centre, stay edges.
    assert (u2 / w2 + 0.5) / 32 == pytest.approx((u / w + 0.5) / 64)
    assert (v2 / w2 + 0.5) / 16 == pytest.approx((v / w + 0.5) / 48)
    np.testing.assert_allclose(camera.scaled_intrinsics(32, 16), [out.p[0], out.p[5], out.p[2],
                                                                  out.p[6]])
    assert info.p[0] == 50.0, 'the input message was changed'


def test_empty_projection_stays_empty():
    info = camera_info()
    info.p = [0.0] * 12
    out = scaled_camera_info(camera_model(info, rectified=True), 32, 24, Header())
    assert not any(out.p) and out.k[0] == 25.0


def test_newest_camera_info_wins_and_its_absence_is_explained():
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    assert source.model_for(64, 48, use=True) is None
    assert source.problem == 'no camera_info on /cam/camera_info'
    source.update(camera_info(fx=50.0))
    source.update(camera_info(fx=60.0))
    model = source.model_for(64, 48, use=True)
    assert model is not None and model.fx == 60.0 and source.problem == ''
    assert source.model_for(64, 48, use=False) is None and 'use_camera_info' in source.problem


def test_an_image_takes_the_camera_info_of_its_own_stamp():
    """A camera that zooms: the next frame's focal length must not scale this frame's depth."""
    source = CameraSource('/cam/image_raw', '/cam/camera_info')
    for second, fx in ((1, 50.0), (2, 60.0)):
        info = camera_info(fx=fx)
        info.header.stamp.sec = second
        source.update(info)
    found = [source.model_for(64, 48, use=True, stamp=Time(sec=sec)) for sec in (1, 2, 3)]
    assert [model.fx for model in found] == [50.0, 60.0, 60.0]
