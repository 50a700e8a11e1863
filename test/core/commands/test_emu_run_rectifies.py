# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Files and bags of distorted images: rectified as by the node, and recorded as they came."""

from __future__ import annotations

from dataclasses import replace

import cv2
from emu_perception.cameras.calibration import CameraInfo, pinhole_info
from emu_perception.cameras.calibration_files import write_calibration
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.source import InputImage
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.errors import InputError
from emu_perception.predictor import Predictor
import numpy as np
import pytest
from run_bench import (
    emu_run,
    FX,
    header,
    HEIGHT,
    IMAGE,
    INFO,
    MAKE,
    pixels,
    read_bag,
    recording,
    scene,
    table,
    WIDTH,
    write_bag,
    write_images,
)

DEPTH = '/cam/aligned_depth'
BARREL = replace(pinhole_info(WIDTH, HEIGHT, FX), d=(-0.25, 0.05, 0.0, 0.0, 0.0),
                 p=pinhole_info(WIDTH, HEIGHT, 88.0).p)
FISHEYE = replace(BARREL, d=(0.0,) * 4, distortion_model='equidistant')


def rectification(info: CameraInfo):
    """Return the maps that an image of this calibration goes through."""
    camera = judge(info, WIDTH, HEIGHT, rectified=False, rectify=True).needed()
    return camera.rectification


@pytest.mark.parametrize('info', [BARREL, FISHEYE])
@pytest.mark.parametrize('beside', [False, True])
def test_a_calibration_of_a_lens_is_taken_out_of_the_images_it_is_of(
        tmp_path, checkpoint, info, beside):
    """Be it given by hand (a fisheye's ost.yaml) or found beside the image."""
    image = write_images(tmp_path / 'in', 1)[0]
    path = image.with_suffix('.yaml') if beside else tmp_path / 'ost.yaml'
    write_calibration(path, info)
    given = () if beside else ('--camera-info', str(path))
    assert emu_run(image, tmp_path / 'out', checkpoint, '--maps', '--panels', '1', *given) == 0
    assert float(table(tmp_path / 'out')[0]['fx_px']) == 88.0
    expected = Predictor.load(checkpoint, 'cpu')(rectification(info).image(scene(0)), fx=88.0)
    with np.load(next((tmp_path / 'out/maps').glob('*.npz'))) as maps:
        np.testing.assert_array_equal(maps['depth'], expected.depth)
        np.testing.assert_array_equal(maps['label'], expected.label)


def test_a_recording_has_the_image_as_it_came_and_maps_of_the_rectified_one(tmp_path, checkpoint):
    at = header(0)
    metres = np.random.default_rng(0).uniform(2.0, 3.0, (HEIGHT, WIDTH)).astype(np.float32)
    metres[:, :50] = 0.0
    bag = write_bag(tmp_path / 'bag', [
        (topic, message, at.stamp_ns + 5) for topic, message in (
            (INFO, MAKE.camera_info(BARREL, at)), (DEPTH, MAKE.image(metres, '32FC1', at)),
            (IMAGE, MAKE.image(scene(0), 'rgb8', at)))])
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--mcap', '--depth-hint', DEPTH,
                   '--panels', '0', '--depth-hint-any-scale') == 0
    found = read_bag(tmp_path / 'out/recording')
    np.testing.assert_array_equal(pixels(found[IMAGE][0][1]), scene(0))
    own, out = found[INFO][0][1], found['/emu/depth/camera_info'][0][1]
    assert own.k[0] == FX and own.d.tolist() == list(BARREL.d)
    assert out.k[0] == out.p[0] == 88.0 and not any(out.d)
    seen = rectification(BARREL).depth(metres)
    source = pixels(found['/emu/depth/source'][0][1])
    np.testing.assert_array_equal(source == 2, seen > 0)
    np.testing.assert_array_equal(pixels(found['/emu/depth/image'][0][1])[seen > 0],
                                  seen[seen > 0])


@pytest.mark.parametrize(('options', 'fx'), [
    (('--rectify', 'never'), f'{FX:.6f}'), (('--fx', '70'), '70.000000')])
def test_who_wants_it_has_the_image_as_it_is_and_is_warned(
        tmp_path, checkpoint, capsys, options, fx):
    messages = recording(1)
    messages[1][1].d = np.array(BARREL.d)
    bag = write_bag(tmp_path / 'bag', messages)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', '0', *options) == 0
    assert table(tmp_path / 'out')[0]['fx_px'] == fx
    assert 'off towards the edges' in capsys.readouterr().err


def test_a_fisheye_whose_p_is_no_camera_s_is_rectified_to_its_k(tmp_path, checkpoint):
    """As in the node: P of the whole fisheye shows 160 degrees, which no pinhole camera does."""
    image = write_images(tmp_path / 'in', 1)[0]
    write_calibration(tmp_path / 'ost.yaml',
                      replace(FISHEYE, p=pinhole_info(WIDTH, HEIGHT, WIDTH / 12).p))
    assert emu_run(image, tmp_path / 'out', checkpoint, '--panels', '0', '--camera-info',
                   str(tmp_path / 'ost.yaml')) == 0
    assert float(table(tmp_path / 'out')[0]['fx_px']) == FX


@pytest.mark.parametrize('as_bag', [False, True])
def test_a_lens_given_by_hand_that_stays_in_is_warned_of_too(tmp_path, checkpoint, capsys, as_bag):
    """Then K is of the image, and not P, as in the node."""
    write_calibration(tmp_path / 'ost.yaml', BARREL)
    source = (write_bag(tmp_path / 'bag', recording(1)) if as_bag
              else write_images(tmp_path / 'in', 1)[0])
    assert emu_run(source, tmp_path / 'out', checkpoint, '--panels', '0', '--rectify', 'never',
                   '--camera-info', str(tmp_path / 'ost.yaml')) == 0
    assert float(table(tmp_path / 'out')[0]['fx_px']) == FX
    assert 'off towards the edges' in capsys.readouterr().err


def test_a_lens_that_is_not_known_has_no_metres_whatever_is_said_of_the_view(
        tmp_path, checkpoint, capsys):
    messages = recording(1)
    messages[1][1].d, messages[1][1].distortion_model = np.array([0.1, 0.2]), 'mei'
    bag = write_bag(tmp_path / 'bag', messages)
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', '0', '--hfov', '70') == 0
    row = table(tmp_path / 'out')[0]
    assert (row['fx_px'], row['reason']) == ('', 'no_calibration') and "'mei'" in row['detail']
    assert "the model 'mei'" in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'fx'), [
    ((), ''), (('--rectify', 'never'), '88.000'), (('--rectify', 'always'), '88.000')])
def test_a_folder_named_rect_gets_metres_only_once_the_user_says_what_its_images_are(
        tmp_path, checkpoint, capsys, options, fx):
    messages = recording(1)
    messages[1][1].d, messages[1][1].p = np.array(BARREL.d), np.array(BARREL.p)
    moved = {IMAGE: '/cam/rect/image', INFO: '/cam/rect/camera_info'}
    bag = write_bag(tmp_path / 'bag', [(moved.get(topic, topic), *rest)
                                       for topic, *rest in messages])
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--panels', '0', *options) == 0
    row = table(tmp_path / 'out')[0]
    assert (row['fx_px'] and float(row['fx_px'])) == (fx and float(fx))
    error = capsys.readouterr().err
    if 'always' not in options:
        assert 'a folder of the image topic is named rect' in error
    if not options:
        assert row['reason'] == 'no_calibration'


def test_a_calibration_that_is_given_does_not_decide_what_an_image_of_a_doubtful_name_is():
    """No distortion, but another camera in K than in P: neither is taken."""
    image = InputImage('1.0', None, lambda: None, topic='/cam/rect/image')
    info = pinhole_info(64, 48, 50.0)
    two = replace(info, p=pinhole_info(64, 48, 47.0).p)
    with pytest.raises(InputError, match='50.* in K and .*47.* in P, and a folder'):
        CameraChoice(None, two).camera_of(image, 64, 48)
    assert CameraChoice(None, two, rectify='never').camera_of(image, 64, 48).fx == 47.0
    assert CameraChoice(None, two, rectify='always').camera_of(image, 64, 48).fx == 50.0
    assert CameraChoice(None, info).camera_of(image, 64, 48).fx == 50.0


@pytest.mark.parametrize(('options', 'words'), [
    (('--fx', '70'), '--rectify always needs what --fx does not say'),
    (('--hfov', '70'), 'nothing says how to rectify')])
def test_to_rectify_always_needs_a_calibration(tmp_path, checkpoint, capsys, options, words):
    image = write_images(tmp_path / 'in', 1)[0]
    code = emu_run(image, tmp_path / 'out', checkpoint, '--panels', '0', '--rectify', 'always',
                   *options)
    assert words in capsys.readouterr().err
    assert code == ('--fx' in options)
    if not code:
        assert table(tmp_path / 'out')[0]['reason'] == 'no_calibration'


def test_a_folder_of_depths_goes_through_the_maps_of_its_images(tmp_path, checkpoint):
    image = write_images(tmp_path / 'in', 1)[0]
    write_calibration(tmp_path / 'ost.yaml', BARREL)
    (tmp_path / 'depth').mkdir()
    millimetres = np.zeros((HEIGHT, WIDTH), np.uint16)
    millimetres[20:70, 30:90] = 2500
    cv2.imwrite(str(tmp_path / 'depth' / f'{image.stem}.png'), millimetres)
    assert emu_run(image, tmp_path / 'out', checkpoint, '--maps', '--panels', '0', '--camera-info',
                   str(tmp_path / 'ost.yaml'), '--depth-hint', str(tmp_path / 'depth'),
                   '--depth-hint-any-scale') == 0
    with np.load(next((tmp_path / 'out/maps').glob('*.npz'))) as maps:
        np.testing.assert_array_equal(
            maps['depth_source'] == 2,
            rectification(BARREL).depth(millimetres.astype(np.float32)) > 0)
