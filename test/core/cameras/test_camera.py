# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Focal length and principal point of the image that comes, and of the map that goes."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.cameras.calibration import CameraInfo, pinhole_info, RegionOfInterest
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.pinhole import k_of, p_of
from emu_perception.cameras.rectified_camera import UNRECTIFIABLE
from emu_perception.cameras.topics import (
    ALWAYS,
    AUTO,
    beside,
    in_doubt,
    looks_rectified,
    NEVER,
    Reading,
    reading,
    says_rectified,
)
import numpy as np
import pytest


def camera_info(width: int = 64, height: int = 48, fx: float = 50.0, *, d: tuple[float, ...] = (),
                p_fx: float | None = None) -> CameraInfo:
    """Make a calibration with the principal point in the middle."""
    p = pinhole_info(width, height, fx if p_fx is None else p_fx).p
    return replace(pinhole_info(width, height, fx), p=p, d=d)


def test_rectified_image_takes_p_and_raw_image_takes_k():
    info = camera_info(fx=50.0, p_fx=40.0, d=(0.1, 0.0, 0.0, 0.0, 0.0))
    rectified = judge(info, 64, 48, rectified=True)
    raw = judge(info, 64, 48, rectified=False)
    assert (rectified.camera.fx, raw.camera.fx) == (40.0, 50.0)
    assert raw.camera.distorted and not rectified.camera.distorted
    assert [warning.code for warning in raw.warnings] == ['distorted']
    assert 'D = 0.1, 0, 0, 0, 0' in raw.warnings[0].text and rectified.warnings == ()


@pytest.mark.parametrize('topic, rectified', [
    ('/camera/image_rect', True), ('/cam/image_rect_color', True),
    ('/cam/image_rect/compressed', True), ('/cam/image_raw', False), ('/rectified/image', False),
    ('/image', False), ('/cam/image_unrectified', False), ('/rect/image', False),
    ('/a/image_unrect', False),
    ('/cam/image_rect_raw', True), ('/rect/camera/image_raw', False), ('/cam/imageRect', True),
    ('/cam/image_rectified', True), ('/cam/image_rect/compressedDepth', True),
    ('/cam/image_rect/zstd', True),
    # The letters, but not the word.
    ('/cam/image_direct', False), ('/cam/image_corrected', False), ('/cam/rectangle', False),
    ('/cam/image_not_rectified', False), ('/cam/image_non_rect', False)])
def test_rectified_topics_are_known_by_name(topic, rectified):
    assert looks_rectified(topic) is rectified


def test_a_name_may_say_nothing_of_its_image():
    assert says_rectified('/cam/aligned/image_raw/compressedDepth') is False
    assert says_rectified('/cam/aligned_depth') is None


@pytest.mark.parametrize(('topic', 'doubt'), [
    # ZED's since its version 5; a namespace of that name; both at once.
    ('/zed/rgb/color/rect/image', True), ('/rect/image_raw', True), ('/camera/rect/image', True),
    ('/rect/camera/image_raw', True), ('/rectified/image', True), ('/cam_rect/image_color', True),
    ('/rect/image/compressed', True), ('rect/image', True),
    # What the last part says counts, by the convention.
    ('/rect/image_rect', False), ('/camera/rect', False), ('/cam/image_rect/compressed', False),
    ('/raw/image_rect_color', False), ('/rect/compressed', False),
    # No folder says it.
    ('/cam_direct/image', False), ('/rectangle/image', False), ('/corrected/image', False),
    ('/unrect/image', False), ('/not_rectified/image', False), ('/cam/image_raw', False),
    ('/cam/image', False), ('/image', False), ('', False)])
def test_a_folder_named_rect_leaves_open_what_its_image_is(topic, doubt):
    assert in_doubt(topic) is doubt


def test_a_name_in_doubt_is_decided_by_nobody_but_the_user():
    topic = '/camera/rect/image'
    assert reading(AUTO, topic) == Reading(rectified=False, rectify=False, in_doubt=True)
    assert reading(ALWAYS, topic) == Reading(rectified=False, rectify=True)
    assert reading(NEVER, topic) == Reading(rectified=True, rectify=False, in_doubt=True)
    for mode, rectify in ((AUTO, True), (ALWAYS, True), (NEVER, False)):
        assert reading(mode, '/cam/image_raw') == reading(mode, '') == Reading(False, rectify)
        assert reading(mode, '/cam/image_rect') == Reading(True, mode == ALWAYS)


def test_a_distorted_image_of_a_name_in_doubt_has_no_camera_and_one_without_distortion_has():
    lens = camera_info(d=(-0.1, 0.01, 0.0, 0.0, 0.0), p_fx=47.0)
    found = judge(lens, 64, 48, rectified=False, in_doubt=True)
    assert found.camera is None and found.problem.code == UNRECTIFIABLE
    assert "set rectify to 'always'" in found.problem.text
    taken = judge(lens, 64, 48, rectified=True, in_doubt=True)
    assert taken.needed().fx == 47.0 and taken.needed().rectification is None
    assert [warning.code for warning in taken.warnings] == ['name_in_doubt']
    plain = judge(camera_info(), 64, 48, rectified=False, in_doubt=True)
    assert plain.needed().fx == 50.0 and plain.warnings == ()
    # Of K by one reading and of P by the other: a guess would be 6 % off in metres.
    two = judge(camera_info(p_fx=47.0), 64, 48, rectified=False, in_doubt=True)
    assert two.camera is None and two.problem.code == UNRECTIFIABLE
    assert 'has no distortion, but fx 50' in two.problem.text and 'fx 47' in two.problem.text
    assert judge(camera_info(p_fx=47.0), 64, 48, rectified=True, in_doubt=True).needed().fx == 47.0
    assert judge(camera_info(p_fx=47.0), 64, 48, rectified=False).needed().fx == 50.0
    assert judge(camera_info(p_fx=50.1), 64, 48, rectified=False, in_doubt=True).camera is not None


def test_camera_info_lies_beside_its_image():
    assert beside('/a/b/image_raw') == beside('/a/b/image_raw/compressed') == '/a/b/camera_info'


def test_binning_and_roi_describe_the_image_that_is_sent():
    info = replace(camera_info(640, 480, fx=500.0), binning_x=2, binning_y=2,
                   roi=RegionOfInterest(x_offset=100, y_offset=60, width=400, height=300))
    camera = judge(info, 200, 150, rectified=False).needed()
    assert (camera.width, camera.height) == (200, 150)
    assert camera.fx == camera.fy == 250.0
    assert camera.cx == pytest.approx((319.5 - 100) / 2)
    assert camera.cy == pytest.approx((239.5 - 60) / 2)
    out = camera.scaled(200, 150).info
    again = judge(out, 200, 150, rectified=False).needed()
    assert (again.fx, again.cx, again.cy) == pytest.approx((camera.fx, camera.cx, camera.cy))
    assert (out.binning_x, out.roi.width, out.width, out.height) == (0, 0, 200, 150)


@pytest.mark.parametrize('r', [(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
                               (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)])
def test_what_goes_out_with_a_raw_image_without_distortion_is_its_own_camera(r):
    """Readers of depth take P, which is of another image where nothing was rectified."""
    info = replace(camera_info(640, 480, fx=500.0, p_fx=450.0), r=r, binning_x=2, binning_y=2)
    camera = judge(info, 320, 240, rectified=False, rectify=True).needed()
    out = camera.outgoing(160, 120)
    assert (out.k[0], out.p[0], out.r) == (125.0, 125.0, pinhole_info(1, 1, 1.0).r)
    assert (out.p[2], out.p[6]) == (out.k[2], out.k[5])
    assert judge(out, 160, 120, rectified=True).needed().fx == 125.0


def test_what_goes_out_with_a_rectified_topic_is_what_its_driver_says():
    info = camera_info(fx=50.0, p_fx=45.0, d=(0.1, 0.0, 0.0, 0.0))
    info = replace(info, p=(*info.p[:3], -5.0, *info.p[4:]))  # The right camera of a pair.
    assert judge(info, 64, 48, rectified=True).needed().outgoing(64, 48) == info


def test_scaled_camera_sees_the_same_point_at_the_scaled_pixel():
    info = camera_info()
    info = replace(info, p=(*info.p[:3], -5.0, *info.p[4:]))
    camera = judge(info, 64, 48, rectified=True).needed()
    scaled = camera.scaled(32, 16)
    point = np.array([0.3, -0.2, 2.0, 1.0])
    u, v, w = np.reshape(info.p, (3, 4)) @ point
    u2, v2, w2 = np.reshape(scaled.info.p, (3, 4)) @ point
    # Image edges, half a pixel outside of the first and last centre, stay edges.
    assert (u2 / w2 + 0.5) / 32 == pytest.approx((u / w + 0.5) / 64)
    assert (v2 / w2 + 0.5) / 16 == pytest.approx((v / w + 0.5) / 48)
    p = scaled.info.p
    np.testing.assert_allclose((scaled.fx, scaled.fy, scaled.cx, scaled.cy),
                               (p[0], p[5], p[2], p[6]))
    assert info.p[0] == 50.0, 'the calibration it came from was changed'


def test_every_number_scales_with_binning_region_and_distortion():
    info = CameraInfo(
        640, 480, k=(500.0, 0.0, 320.0, 0.0, 501.0, 240.0, 0.0, 0.0, 1.0),
        p=(480.0, 0.0, 310.0, -24.0, 0.0, 481.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0), d=(0.1,) * 5,
        binning_x=2, binning_y=1, roi=RegionOfInterest(20, 10, 460, 600))
    scaled = judge(info, 300, 460, rectified=False).needed().scaled(100, 230)
    np.testing.assert_allclose(scaled.info.k, (
        250 / 3, 0, (150 + .5) / 3 - .5, 0, 250.5, (230 + .5) / 2 - .5, 0, 0, 1))
    np.testing.assert_allclose(scaled.info.p, (
        80, 0, (145 + .5) / 3 - .5, -4, 0, 240.5, (220 + .5) / 2 - .5, 0, 0, 0, 1, 0))
    assert (scaled.info.d, scaled.info.r) == (info.d, info.r)
    assert (scaled.info.width, scaled.info.height) == (scaled.width, scaled.height) == (100, 230)


def test_empty_projection_stays_empty():
    camera = judge(replace(camera_info(), p=(0.0,) * 12), 64, 48, rectified=True).needed()
    assert not any(camera.scaled(32, 24).info.p) and camera.scaled(32, 24).info.k[0] == 25.0


def test_rays_go_through_the_pixels_they_are_of():
    camera = judge(pinhole_info(64, 48, 50.0, 48.0, 30.0, 20.0), 64, 48, rectified=True).needed()
    x, y = camera.rays()
    assert x.shape == (1, 64) and y.shape == (48, 1) and x.dtype == y.dtype == np.float32
    np.testing.assert_allclose(x[0] * camera.fx + camera.cx, np.arange(64), atol=1e-5)
    np.testing.assert_allclose(y[:, 0] * camera.fy + camera.cy, np.arange(48), atol=1e-5)


@pytest.mark.parametrize('rectified', [False, True])
@pytest.mark.parametrize(('change', 'distorted'), [
    ({'p': (0.0,) * 12}, False), ({'k': (0.0,) * 9}, False),
    ({'p': (0.0,) * 12, 'd': (-0.2, 0.0, 0.0, 0.0, 0.0)}, True)])
def test_an_empty_matrix_does_not_go_out_for_readers_to_divide_by(change, distorted, rectified):
    """Depth went out with the P of a driver that leaves it empty: points of it are no numbers."""
    info = replace(pinhole_info(64, 48, 50.0, 51.0, 30.0, 20.0), **change)
    camera = judge(info, 64, 48, rectified=rectified).needed()
    out = camera.outgoing(128, 96)
    scaled = camera.scaled(128, 96)
    for matrix in (k_of(out), p_of(out)):
        assert (matrix.fx, matrix.fy, matrix.cx, matrix.cy) == pytest.approx(
            (scaled.fx, scaled.fy, scaled.cx, scaled.cy))
    assert out.d == info.d and out.r == info.r and (out.width, out.height) == (128, 96)
    assert distorted == any(out.d)
