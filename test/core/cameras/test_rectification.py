# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A pixel of the rectified image is what the lens's equations say it is, and none is invented."""

from __future__ import annotations

from dataclasses import replace

import cv2
from emu_perception.cameras.calibration import CameraInfo, pinhole_info, RegionOfInterest
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge, Judgement
from emu_perception.cameras.rectified_depth import depth_in_view, labels_in_view
from emu_perception.cameras.topics import rectifies, RECTIFY
from emu_perception.errors import InputError
import numpy as np
import pytest

WIDTH, HEIGHT = 320, 240
FULL = pinhole_info(WIDTH, HEIGHT, 260.0, 258.0, 163.0, 117.0)
VIEW = pinhole_info(WIDTH, HEIGHT, 250.0, 251.0, 158.0, 121.0).p
# Rounded to float32 once, and the numbers that are rounded are below 512.
EXACT_PX = 2 * float(np.spacing(np.float32(512.0)))
LENSES = {
    'plumb_bob': (-0.31, 0.12, 0.002, -0.001, -0.01),
    'rational_polynomial': (0.45, -0.3, 0.0006, -0.0004, 0.02, 0.8, -0.2, 0.03),
    'equidistant': (-0.02, 0.01, -0.004, 0.0008),
    'equidistant, all 0': (0.0,) * 4}


def lens(name: str, **more: object) -> CameraInfo:
    """Return a camera of a lens."""
    return replace(FULL, p=VIEW, d=LENSES[name], distortion_model=name.split(',')[0], **more)


def judged(info: CameraInfo, size: tuple[int, int] = (WIDTH, HEIGHT), *, rectify: bool = True
           ) -> Judgement:
    """Judge an image as it comes."""
    return judge(info, *size, rectified=False, rectify=rectify)


def rectified(info: CameraInfo, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Camera:
    """Return the camera of the rectified image."""
    camera = judged(info, size).needed()
    assert camera.rectification is not None
    return camera


def projected(info: CameraInfo, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the raw pixel of a ray (x, y, 1), by the equations of the models' papers."""
    d = info.d
    if info.distortion_model == 'equidistant':
        radius = np.hypot(x, y)
        theta = np.arctan(radius)
        bent = theta * (1 + sum(k * theta ** (2 * i + 2) for i, k in enumerate(d)))
        ratio = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        x, y = x * ratio, y * ratio
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = (*d, 0.0, 0.0, 0.0)[:8]
        r = x ** 2 + y ** 2
        radial = ((1 + k1 * r + k2 * r ** 2 + k3 * r ** 3)
                  / (1 + k4 * r + k5 * r ** 2 + k6 * r ** 3))
        x, y = (x * radial + 2 * p1 * x * y + p2 * (r + 2 * x ** 2),
                y * radial + p1 * (r + 2 * y ** 2) + 2 * p2 * x * y)
    return info.k[0] * x + info.k[2], info.k[4] * y + info.k[5]


def rotation(*angles: float) -> tuple[float, ...]:
    """Return a rotation by a vector of radians."""
    return tuple(float(value) for value in cv2.Rodrigues(np.array(angles))[0].ravel())


def rays(camera: Camera, r: tuple[float, ...]) -> np.ndarray:
    """Return the ray of each pixel of a rectified image in the lens's frame, [H, W, 3]."""
    x, y = np.meshgrid((np.arange(camera.width) - camera.cx) / camera.fx,
                       (np.arange(camera.height) - camera.cy) / camera.fy)
    return np.stack((x, y, np.ones_like(x)), axis=-1) @ np.reshape(r, (3, 3))


@pytest.mark.parametrize('name', LENSES)
@pytest.mark.parametrize('r', [FULL.r, rotation(0.02, -0.03, 0.01)])
def test_a_pixel_comes_from_where_the_equations_of_the_lens_put_it(name, r):
    info = lens(name, r=r)
    camera = rectified(info)
    ray = rays(camera, r)
    u, v = projected(info, ray[..., 0] / ray[..., 2], ray[..., 1] / ray[..., 2])
    np.testing.assert_allclose(camera.rectification.source, np.stack((u, v), -1), rtol=0,
                               atol=EXACT_PX)


@pytest.mark.parametrize('name', LENSES)
def test_what_goes_out_describes_the_rectified_image(name):
    info = lens(name)
    camera = rectified(info)
    # P's, for it shows nothing that the lens did not see.
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (250.0, 251.0, 158.0, 121.0)
    out = camera.info
    assert np.reshape(out.p, (3, 4))[:, :3].ravel().tolist() == list(out.k)
    assert out.k[0] == 250.0 and not any(out.d) and out.distortion_model == 'plumb_bob'
    assert np.reshape(out.r, (3, 3)).tolist() == np.eye(3).tolist()
    assert not camera.distorted and camera.info_of_input == info
    half = camera.scaled(WIDTH // 2, HEIGHT // 2)
    assert half.rectification is None and half.info_of_input.k[0] == 125.0


@pytest.mark.parametrize(('binning', 'roi'), [
    ((2, 2), RegionOfInterest()), ((1, 1), RegionOfInterest(90, 50, 120, 160)),
    ((2, 1), RegionOfInterest(80, 40, 160, 160))])
def test_a_binned_or_cut_image_is_rectified_by_its_own_pixels(binning, roi):
    info = lens('plumb_bob', binning_x=binning[0], binning_y=binning[1], roi=roi)
    size = (roi.width or WIDTH) // binning[0], (roi.height or HEIGHT) // binning[1]
    camera = rectified(info, size)
    ray = rays(camera, FULL.r)
    u, v = projected(info, ray[..., 0], ray[..., 1])
    np.testing.assert_allclose(camera.rectification.source, np.stack((
        (u - roi.x_offset) / binning[0], (v - roi.y_offset) / binning[1]), -1), rtol=0,
        atol=EXACT_PX)


def test_colours_are_taken_between_pixels_and_depths_and_labels_whole():
    camera = rectified(lens('plumb_bob'))
    maps = camera.rectification
    across = np.tile(np.linspace(0, 255, WIDTH, dtype=np.float32), (HEIGHT, 1))
    image = np.repeat(np.rint(across).astype(np.uint8)[..., None], 3, 2)
    x = np.clip(maps.source[..., 0], 0, WIDTH - 1)
    # Levels are rounded when drawn, by weights whose absolute values sum up to 1.375 at most, and
    # when mixed; places to 1/32 pixel, of 1.25 pixels a level.
    np.testing.assert_allclose(camera.rectified(image)[..., 0], x * 255 / (WIDTH - 1), rtol=0,
                               atol=0.5 * 1.375 + 0.5 + 0.025)
    number = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    found = maps.depth(number)
    row, column = np.divmod(found, WIDTH)
    assert (np.abs(column - x) <= 0.5 + EXACT_PX).all()
    assert (np.abs(row - np.clip(maps.source[..., 1], 0, HEIGHT - 1)) <= 0.5 + EXACT_PX).all()
    label = (number % 200).astype(np.uint8)
    assert np.array_equal(maps.nearest(label), (found % 200).astype(np.uint8))
    for nothing in (0.0, np.nan, np.inf):
        assert np.array_equal(maps.depth(np.full((HEIGHT, WIDTH), nothing, np.float32)),
                              np.full((HEIGHT, WIDTH), nothing), equal_nan=True)


def test_a_large_image_is_mixed_linearly_which_is_quicker():
    size = (1280, 720)
    info = replace(pinhole_info(*size, 900.0), d=LENSES['plumb_bob'])
    camera, rng = rectified(info, size), np.random.default_rng(0)
    image = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    x, y = cv2.split(camera.rectification.source)
    linear = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Places are rounded to 1/32 pixel in each direction, of neighbours up to 255 levels apart.
    off = np.abs(camera.rectified(image).astype(int) - linear)
    assert off.max() <= 2 * 255 / 64 + 1


def test_depth_is_along_the_axis_of_the_view_that_goes_out():
    r = rotation(0.05, -0.04, 0.02)
    camera = rectified(lens('plumb_bob', r=r))
    depth = camera.rectification.depth(np.full((HEIGHT, WIDTH), 2.0, np.float32))
    # What was 2 m before the lens still is.
    np.testing.assert_allclose((rays(camera, r) * depth[..., None])[..., 2], 2.0, rtol=1e-6)


@pytest.mark.parametrize(('name', 'fx'), [('plumb_bob', 205.0), ('rational_polynomial', 195.0)])
def test_a_view_that_shows_more_than_the_lens_saw_is_zoomed_until_it_does_not(name, fx):
    """Labels, metres and scores of black corners would be of nothing."""
    wide = replace(lens(name), p=pinhole_info(WIDTH, HEIGHT, fx, 1.1 * fx).p)
    found = judged(wide)
    camera = found.needed()
    assert [warning.code for warning in found.warnings] == ['zoomed']
    assert camera.fx == pytest.approx(fx * camera.rectification.zoom)
    assert camera.fy / camera.fx == pytest.approx(1.1)
    source = camera.rectification.source
    assert source.min() >= -1.5 and (source <= (WIDTH + 0.5, HEIGHT + 0.5)).all()
    # And by no more than that: one side lies at the end of what was seen.
    ends = [source[..., 0].min(), source[..., 1].min(), WIDTH - 1 - source[..., 0].max(),
            HEIGHT - 1 - source[..., 1].max()]
    assert min(ends) < 1.5


def test_a_lens_whose_polynomial_turns_back_shows_nothing_twice():
    """Its fit ends with the image; what P shows beyond would be the image once more, mirrored."""
    turning = replace(lens('plumb_bob'), d=(-0.5, 0.0, 0.0, 0.0, 0.0),
                      p=pinhole_info(WIDTH, HEIGHT, 175.0).p)
    source = rectified(turning).rectification.source
    across = np.diff(source[..., 0], axis=1)[:-1] * np.diff(source[..., 1], axis=0)[:, :-1]
    assert (across > 0).all()
    found = judged(replace(turning, d=(-9.0, 0.0, 0.0, 0.0, 0.0)))
    assert found.problem.code == 'unrectifiable' and 'turns back' in found.problem.text


@pytest.mark.parametrize(('change', 'code', 'words'), [
    ({'distortion_model': 'double_sphere'}, 'unrectifiable', "the model 'double_sphere'"),
    ({'distortion_model': ''}, 'unrectifiable', 'rectify to never'),
    ({'d': (0.1, 0.2, 0.3)}, 'unrectifiable', '3 coefficients'),
    ({'d': (0.1, 0.2), 'distortion_model': 'equidistant'}, 'unrectifiable', '2 coefficients'),
    ({'d': (np.nan,) * 5}, 'not_calibrated', 'D holds nan'),
    ({'k': (0.0,) * 9}, 'unrectifiable', 'without a K'),
    # P is no lens's, whatever it may stand in for elsewhere.
    ({'k': (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)}, 'unrectifiable', 'without a K'),
    # A field of view in place of such a K would leave the distortion in.
    ({'width': 2 * WIDTH}, 'unrectifiable', 'is for 640x240'),
    ({'k': pinhole_info(WIDTH, HEIGHT, 260.0, 200.0).k}, 'unrectifiable', 'differ by more'),
    # Of a model that is not known nobody knows what coefficients of 0 mean.
    ({'distortion_model': 'double_sphere', 'd': (0.0,) * 5}, 'unrectifiable', 'double_sphere'),
    ({'distortion_model': 'thin_prism_fisheye', 'd': ()}, 'unrectifiable', 'fisheye')])
def test_a_distortion_that_cannot_be_taken_out_gives_no_metres(change, code, words):
    found = judged(replace(lens('plumb_bob'), **change))
    assert found.camera is None and found.problem.code == code
    assert words in found.problem.text and '\n' not in found.problem.text


@pytest.mark.parametrize('change', [
    {'p': (0.0,) * 12}, {'p': pinhole_info(WIDTH, HEIGHT, 2600.0).p},
    {'p': pinhole_info(2 * WIDTH, 2 * HEIGHT, 250.0).p}, {'r': (1.0,) * 9}])
def test_without_a_view_that_can_be_the_lens_s_the_image_is_rectified_to_k(change):
    camera = rectified(replace(lens('plumb_bob'), **change))
    assert (camera.fx, camera.cx) == (260.0, 163.0)


def test_a_rotation_that_is_not_set_is_none():
    assert rectified(lens('plumb_bob', r=(0.0,) * 9)).fx == 250.0


@pytest.mark.parametrize('model', ['Equidistant', 'Kannala-Brandt', ' FISHEYE'])
def test_a_fisheye_is_one_however_its_model_is_written(model):
    """Its coefficients are 0, and so are a pinhole's."""
    own = rectified(replace(lens('equidistant, all 0'), distortion_model=model)).rectification
    assert own is rectified(lens('equidistant, all 0')).rectification


@pytest.mark.parametrize('model', ['plumb_bob', '', 'none', 'pinhole', 'inverse_brown_conrady'])
def test_without_coefficients_other_models_are_a_pinhole(model):
    for d in ((), (0.0,) * 5):
        camera = judged(replace(FULL, d=d, distortion_model=model)).needed()
        assert camera.rectification is None and not camera.distorted


def test_the_maps_are_made_once_for_a_camera():
    one = rectified(lens('plumb_bob')).rectification
    assert rectified(lens('plumb_bob')).rectification is one
    assert rectified(lens('plumb_bob', r=rotation(0.01, 0, 0))).rectification is not one
    assert rectified(replace(lens('plumb_bob'), d=(-0.3, 0.0, 0.0, 0.0))).rectification is not one


def test_a_lens_without_distortion_and_an_image_that_is_not_to_be_rectified_stay_as_they_are():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for info, rectify in ((replace(FULL, p=VIEW), True), (lens('plumb_bob'), False)):
        camera = judged(info, rectify=rectify).needed()
        assert camera.rectification is None and camera.fx == 260.0
        assert camera.rectified(image) is image


def test_only_a_topic_that_does_not_say_so_is_rectified_by_itself():
    assert [[rectifies(mode, said) for said in (False, True)] for mode in RECTIFY] == [
        [True, False], [True, True], [False, False]]


def test_a_depth_that_is_aligned_to_another_view_is_never_joined():
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    camera = rectified(lens('plumb_bob'))
    assert depth_in_view(depth, camera, rectified=True) is depth  # P's view is what goes out.
    wide = rectified(replace(lens('plumb_bob'), p=pinhole_info(WIDTH, HEIGHT, 205.0).p))
    raw = judged(lens('plumb_bob'), rectify=False).needed()
    for other in (wide, raw):
        for bring in (depth_in_view, labels_in_view):
            with pytest.raises(InputError, match='aligned to the rectified image'):
                bring(depth, other, rectified=True)
    assert depth_in_view(depth, raw, rectified=False) is depth


def test_a_raw_depth_is_not_joined_to_an_image_that_was_rectified_elsewhere():
    """Beside image_rect lies the lens's D, and the driver's aligned depth is of the raw image."""
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    for info in (lens('plumb_bob'), replace(FULL, p=pinhole_info(WIDTH, HEIGHT, 250.0).p)):
        camera = judge(info, WIDTH, HEIGHT, rectified=True).needed()
        with pytest.raises(InputError, match='aligned to the raw image'):
            depth_in_view(depth, camera, rectified=False)
        for aligned in (True, None):
            assert depth_in_view(depth, camera, rectified=aligned) is depth
    same = judge(FULL, WIDTH, HEIGHT, rectified=True).needed()
    assert depth_in_view(depth, same, rectified=False) is depth


def test_a_rectified_depth_is_not_joined_to_an_image_of_another_matrix():
    """Without distortion nothing is rectified: the image is K's, such a depth is P's."""
    depth = np.ones((HEIGHT, WIDTH), np.float32)
    zoomed = replace(FULL, p=pinhole_info(WIDTH, HEIGHT, 240.0).p)
    with pytest.raises(InputError, match='aligned to the rectified image'):
        depth_in_view(depth, judged(zoomed).needed(), rectified=True)
    for info in (FULL, replace(FULL, p=(0.0,) * 12)):
        assert depth_in_view(depth, judged(info).needed(), rectified=True) is depth


def test_what_is_of_another_size_than_the_maps_is_refused():
    """They would take the top left part of it for the whole."""
    camera = rectified(lens('plumb_bob'))
    for bring in (camera.rectified, camera.rectification.nearest, camera.rectification.depth):
        with pytest.raises(InputError, match='640x480, the camera that rectifies it 320x240'):
            bring(np.ones((2 * HEIGHT, 2 * WIDTH), np.uint8))


@pytest.mark.parametrize('size', [(64, 1), (1, 48)])
def test_an_image_of_one_row_or_column_that_nothing_was_seen_of_has_no_camera(size):
    d = (-0.3, -0.3, 1000.0, 0.1, 0.25, 0.1, 1000.0, 0.2)
    info = replace(pinhole_info(*size, 0.9 * size[0]), d=d, distortion_model='rational_polynomial')
    found = judge(info, *size, rectified=False, rectify=True)
    assert found.camera is None and found.problem is not None
