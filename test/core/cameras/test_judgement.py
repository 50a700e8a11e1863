# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""No calibration gives a depth that is off by a factor without a word."""

from __future__ import annotations

from dataclasses import replace
import math

from emu_perception.cameras.calibration import CameraInfo, pinhole_info, RegionOfInterest
from emu_perception.cameras.judgement import judge, Judgement
from emu_perception.errors import InputError
import numpy as np
import pytest

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
P_IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
GOOD = pinhole_info(320, 240, 300.0)


def info(width: int, height: int, fx: float, cx: float, cy: float, **more: object) -> CameraInfo:
    """Make a calibration whose K and P agree."""
    return replace(pinhole_info(width, height, fx, fx, cx, cy), **more)


def judged(calibration: CameraInfo, width: int = 320, height: int = 240, *,
           rectified: bool = False) -> Judgement:
    """Judge, and hold the judgement to be a camera or a problem, told in lines."""
    found = judge(calibration, width, height, rectified=rectified, what='camera_info on /info')
    assert (found.camera is None) == (found.problem is not None)
    for remark in (*found.warnings, *([found.problem] if found.problem else [])):
        assert remark.text.startswith('camera_info on /info ') and '\n' not in remark.text
    return found


def codes(found: Judgement) -> list[str]:
    """Return the kinds of warnings."""
    return [warning.code for warning in found.warnings]


def test_a_good_calibration_is_used_without_a_word():
    for rectified in (False, True):
        found = judged(GOOD, rectified=rectified)
        assert found.warnings == () and found.camera.info == GOOD
        camera = found.camera
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (300.0, 300.0, 159.5, 119.5)


@pytest.mark.parametrize(('calibration', 'size', 'named'), [
    # K of 1280x960 in a 320x240 camera_info, and K six times too large.
    (info(320, 240, 1200.0, 640.0, 480.0), (320, 240), ('cx 640, cy 480', '1280x960', '320x240')),
    (info(3840, 2160, 13400.0, 11400.0, 6300.0), (3840, 2160), ('cx 11400', '3840x2160')),
    # K of a smaller image: a quarter, half, and half of a camera whose middle is a little off.
    (info(1280, 960, 300.0, 159.5, 119.5), (1280, 960), ('cx 159.5', '320x240', '1280x960')),
    (info(640, 480, 300.0, 159.5, 119.5), (640, 480), ('320x240',)),
    (info(640, 480, 300.0, 160.0, 120.0), (640, 480), ('320x240',)),
    (info(640, 480, 300.0, 167.0, 112.0), (640, 480), ('cx 167, cy 112',)),
    (info(640, 480, 300.0, 153.0, 126.0), (640, 480), ('cx 153, cy 126',)),
    # Of an image of another shape.
    (info(1280, 720, 300.0, 319.5, 239.5), (1280, 720), ('640x480',)),
    (info(1280, 720, 300.0, 325.0, 233.0), (1280, 720), ('cx 325, cy 233',)),
    (info(640, 480, 900.0, 639.5, 359.5), (640, 480), ('1280x720',)),
    # Twice the image, and twice of a camera whose middle is a little off.
    (info(320, 240, 600.0, 319.5, 239.5), (320, 240), ('640x480',)),
    (info(320, 240, 600.0, 305.0, 250.0), (320, 240), ('cx 305, cy 250',)),
    # The same where only a part of the sensor is sent, or binning is said as well.
    (info(1280, 960, 300.0, 159.5, 119.5, roi=RegionOfInterest(480, 360, 240, 320)), (320, 240),
     ('cx 159.5', '1280x960')),
    (info(1280, 960, 300.0, 159.5, 119.5, binning_x=2, binning_y=2), (640, 480), ('640x480',)),
])
def test_a_calibration_of_another_resolution_is_refused_and_named(calibration, size, named):
    problem = judged(calibration, *size).problem
    assert problem is not None and problem.code == 'other_resolution', problem
    for words in ('principal point', 'resolution', *named):
        assert words in problem.text, problem.text


@pytest.mark.parametrize(('cx', 'cy', 'size', 'as_of'), [
    (639.5, 359.5, (1920, 1080), '1280x720'), (319.5, 239.5, (960, 720), '640x480'),
    (399.5, 299.5, (640, 480), '800x600')])
def test_a_resolution_that_is_a_little_off_is_warned_of(cx, cy, size, as_of):
    """1280x720 in place of 1920x1080: in the middle half, and depth 1.5 times too small."""
    found = judged(info(*size, 900.0, cx, cy), *size)
    assert found.camera.fx == 900.0 and codes(found) == ['other_resolution']
    assert as_of in found.warnings[0].text


@pytest.mark.parametrize(('cx', 'cy'), [
    (0.3, 0.5), (0.5, 0.3), (0.3, 0.7), (0.74, 0.5), (0.26, 0.5), (0.45, 0.55), (0.42, 0.42),
    (0.27, 0.6), (0.42, 0.26)])
def test_a_lens_that_is_mounted_off_the_middle_is_no_fault(cx, cy):
    assert judged(info(320, 240, 300.0, 320 * cx, 240 * cy)).warnings == ()


@pytest.mark.parametrize(('cx', 'cy'), [
    (0.2, 0.5), (0.5, 0.8), (-0.1, 0.5), (0.5, 1.2), (0.0, 0.0), (-1.0, -1.0)])
def test_a_principal_point_outside_the_middle_half_is_refused(cx, cy):
    problem = judged(info(320, 240, 300.0, 320 * cx, 240 * cy)).problem
    assert problem is not None and 'principal point' in problem.text
    assert f'cx {320 * cx:g}, cy {240 * cy:g}' in problem.text and '320x240' in problem.text


@pytest.mark.parametrize('offset', [(0, 0), (960, 720), (0, 720), (480, 360)])
def test_a_part_of_the_sensor_has_its_principal_point_anywhere(offset):
    region = RegionOfInterest(offset[0], offset[1], 240, 320)
    found = judged(info(1280, 960, 600.0, 639.5, 479.5, roi=region))
    assert found.camera.fx == 600.0 and found.warnings == ()
    assert (found.camera.cx, found.camera.cy) == (639.5 - offset[0], 479.5 - offset[1])


@pytest.mark.parametrize('region', [
    RegionOfInterest(300, 0, 240, 320), RegionOfInterest(0, 1, 240, 320), RegionOfInterest(10, 0)])
def test_a_region_outside_the_size_is_refused(region):
    """K of the part would be moved by the offset once more, and every point with it."""
    problem = judged(replace(GOOD, roi=region)).problem
    assert problem is not None and problem.code == 'region'
    for words in (f'320x240 at x {region.x_offset}, y {region.y_offset}', 'in its 320x240',
                  "the whole sensor's size"):
        assert words in problem.text


def test_a_region_that_fills_the_image_is_judged_as_the_image():
    whole = replace(GOOD, roi=RegionOfInterest(0, 0, 240, 320))
    assert judged(whole).camera.fx == 300.0
    assert judged(replace(info(320, 240, 300.0, 20.0, 119.5), roi=whole.roi)).camera is None


@pytest.mark.parametrize(('width', 'height'), [(640, 480), (480, 640), (640, 120)])
@pytest.mark.parametrize(('degrees', 'taken'), [
    (14.9, False), (15.1, True), (60.0, True), (149.9, True), (150.1, False), (175.0, False)])
def test_fields_of_view_are_those_of_cameras(width, height, degrees, taken):
    fx = max(width, height) / 2 / math.tan(math.radians(degrees / 2))
    found = judged(pinhole_info(width, height, fx), width, height)
    assert (found.camera is not None) is taken
    if not taken:
        assert found.problem.code == 'field_of_view' and 'degrees' in found.problem.text
        assert f'fx {fx:g}' in found.problem.text and 'pixels' in found.problem.text


@pytest.mark.parametrize('fx', [1e-6, 1e300, 4.0])
def test_a_focal_length_in_another_unit_is_refused(fx):
    found = judged(pinhole_info(320, 240, fx))
    assert found.problem.code == 'field_of_view' and 'is not plausible' in found.problem.text


@pytest.mark.parametrize(('fy', 'taken'), [
    (300.0, True), (274.0, True), (332.0, True), (272.0, False), (334.0, False), (150.0, False)])
def test_focal_lengths_agree_within_a_tenth(fy, taken):
    found = judged(pinhole_info(320, 240, 300.0, fy))
    assert (found.camera is not None) is taken
    if not taken:
        assert found.problem.code == 'stretched'
        assert 'fx 300 and fy' in found.problem.text


def test_pixels_that_are_binned_in_one_direction_may_be_oblong():
    found = judged(info(640, 240, 600.0, 319.5, 119.5, binning_x=2))
    camera = found.camera
    assert (camera.fx, camera.fy) == (300.0, 600.0) and found.warnings == ()


@pytest.mark.parametrize('binning', [2, 4, 8])
@pytest.mark.parametrize('off', [0.0, 0.04])
def test_a_calibration_of_the_binned_image_is_used_as_it_is_and_named(binning, off):
    """Full size and binning are said, but it was calibrated while binned: not 75, but 300."""
    cx, cy = 160.0 * (1 + off), 120.0 * (1 - off)
    calibration = info(320 * binning, 240 * binning, 300.0, cx, cy, binning_x=binning,
                       binning_y=binning, d=(0.1, 0.0, 0.0, 0.0, 0.0))
    found = judged(calibration)
    camera = found.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (300.0, 300.0, cx, cy)
    assert codes(found) == ['calibrated_binned', 'distorted']
    for words in (f'binning {binning}x{binning}', f'{320 * binning}x{240 * binning}', 'fx 300'):
        assert words in found.warnings[0].text
    handed_on = camera.scaled(160, 120).info
    assert (handed_on.k[0], handed_on.p[0], handed_on.binning_x) == (150.0, 150.0, 0)


@pytest.mark.parametrize('binning', [1, 2, 4])
def test_a_calibration_of_the_whole_sensor_is_binned(binning):
    size = 320 * binning, 240 * binning
    found = judged(replace(pinhole_info(*size, 300.0 * binning, cx=size[0] * .52,
                                        cy=size[1] * .47), binning_x=binning, binning_y=binning))
    assert found.camera.fx == 300.0 and found.warnings == ()


@pytest.mark.parametrize('rectified', [False, True])
def test_identity_in_place_of_k_gives_way_to_a_good_p(rectified):
    calibration = CameraInfo(320, 240, IDENTITY, GOOD.p)
    found = judged(calibration, rectified=rectified)
    assert found.camera.fx == 300.0 and codes(found) == ['identity']
    assert 'identity for K' in found.warnings[0].text and 'fx 300' in found.warnings[0].text
    assert found.camera.scaled(160, 120).info.k[0] == 150.0, 'the identity is handed on'


@pytest.mark.parametrize('rectified', [False, True])
def test_identity_in_place_of_p_gives_way_to_a_good_k(rectified):
    found = judged(replace(GOOD, p=P_IDENTITY), rectified=rectified)
    assert found.camera.fx == 300.0 and codes(found) == ['identity']
    assert found.camera.scaled(160, 120).info.p[0] == 150.0


@pytest.mark.parametrize('p', [P_IDENTITY, (0.0,) * 12])
@pytest.mark.parametrize('k', [IDENTITY, (0.0,) * 9])
def test_without_any_matrix_there_is_no_camera(k, p):
    assert judged(CameraInfo(320, 240, k, p)).problem.code == 'not_calibrated'


def test_an_implausible_p_in_place_of_an_identity_is_no_better():
    found = judged(CameraInfo(320, 240, IDENTITY, info(320, 240, 1200.0, 640.0, 480.0).p))
    assert found.problem.code == 'other_resolution'


def test_an_empty_matrix_gives_way_to_the_other_and_stays_empty():
    raw = judged(replace(GOOD, k=(0.0,) * 9))
    rectified = judged(replace(GOOD, p=(0.0,) * 12), rectified=True)
    assert raw.camera.fx == rectified.camera.fx == 300.0
    assert codes(raw) == codes(rectified) == ['empty_matrix']
    assert 'empty K' in raw.warnings[0].text and 'empty P' in rectified.warnings[0].text
    assert not any(raw.camera.scaled(160, 120).info.k)
    assert judged(replace(GOOD, p=(0.0,) * 12)).warnings == (), 'K is what a raw image needs'


@pytest.mark.parametrize('p_fx', [75.0, 150.0, 600.0, 1200.0])
def test_k_that_contradicts_p_is_a_warning_and_only_the_matrix_in_use_is_judged(p_fx):
    scale = p_fx / 300
    calibration = replace(GOOD, p=info(320, 240, p_fx, 160 * scale, 120 * scale).p)
    raw = judged(calibration)
    assert raw.camera.fx == 300.0 and codes(raw) == ['contradiction']
    assert f'fx 300 in K and {p_fx:g} in P' in raw.warnings[0].text
    rectified = judged(calibration, rectified=True)
    assert rectified.problem.code == 'other_resolution' and ' of P ' in rectified.problem.text


@pytest.mark.parametrize('p_fx', [210.0, 280.0, 330.0])
def test_what_rectification_zooms_is_no_contradiction(p_fx):
    found = judged(replace(GOOD, p=info(320, 240, p_fx, 159.5, 119.5).p), rectified=True)
    assert found.camera.fx == p_fx and found.warnings == ()


@pytest.mark.parametrize(('calibration', 'words'), [
    (pinhole_info(640, 480, 300.0), ('is for 640x480, the image is 320x240', 'resize')),
    (pinhole_info(320, 200, 300.0), ('is for 320x200', 'roi')),
    (replace(GOOD, binning_x=4, binning_y=4), ('is for 80x60', 'binning 4x4', 'or no binning')),
    (replace(GOOD, binning_x=2**32 - 1, binning_y=2**32 - 1), ('is for 0x0',)),
    (replace(pinhole_info(640, 480, 300.0), roi=RegionOfInterest(0, 0, 100, 100)),
     ('is for 100x100', 'of 640x480', 'region 100x100')),
])
def test_a_calibration_of_an_image_of_another_size_is_refused_with_a_remedy(calibration, words):
    problem = judged(calibration).problem
    assert problem.code == 'other_size'
    for word in words:
        assert word in problem.text, problem.text


@pytest.mark.parametrize('field', ['k', 'p', 'd', 'r'])
@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_what_is_not_finite_is_named(field, value):
    values = getattr(GOOD, field)
    found = judged(replace(GOOD, **{field: (*values[:-1], value)}))
    assert found.problem.code == 'not_calibrated'
    assert f'{field.upper()} holds {value}' in found.problem.text


@pytest.mark.parametrize('fx', [0.0, -300.0])
def test_a_camera_that_is_not_calibrated_is_told_what_to_do(fx):
    found = judged(info(320, 240, fx, 159.5, 119.5))
    assert found.problem.code == 'not_calibrated' and 'camera_calibration' in found.problem.text
    with pytest.raises(InputError, match='/info is not calibrated'):
        found.needed()


@pytest.mark.parametrize(('model', 'd', 'distorted'), [
    ('plumb_bob', (0.0,) * 5, False), ('plumb_bob', (0.1, 0.0, 0.0, 0.0, 0.0), True),
    ('', (), False), ('rational_polynomial', (0.0,) * 8, False),
    # An equidistant lens bends lines with all coefficients 0 too.
    ('equidistant', (0.0,) * 4, True), ('fisheye', (), True)])
def test_distortion_is_told_by_the_lens_as_well(model, d, distorted):
    calibration = replace(GOOD, d=d, distortion_model=model)
    found = judged(calibration)
    assert found.camera.distorted is distorted
    assert codes(found) == (['distorted'] if distorted else [])
    rectified = judged(calibration, rectified=True)
    assert not rectified.camera.distorted and rectified.warnings == ()


def test_no_factor_of_two_or_more_between_calibration_and_image_goes_unsaid():
    """Pairs of common resolutions, and factors of each, with a lens a little off the middle."""
    rng = np.random.default_rng(0)
    sizes = [(320, 240), (640, 480), (848, 480), (1280, 720), (1280, 960), (1920, 1080)]
    pairs = [(one, other) for one in sizes for other in sizes
             if any(not 1 / 1.9 < a / b < 1.9 for a, b in zip(one, other))]
    pairs += [(size, (size[0] // by, size[1] // by)) for size in sizes for by in (2, 3, 4, 6)]
    for size, calibrated in pairs:
        for _ in range(20):
            shares = 0.5 + rng.uniform(-0.03, 0.03, 2)
            wrong = info(*size, calibrated[0] * rng.uniform(0.5, 1.5),
                         *(float(share) for share in shares * calibrated))
            assert judged(wrong, *size).problem is not None, (size, calibrated, shares)
