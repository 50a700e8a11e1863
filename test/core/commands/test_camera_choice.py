# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A calibration is of the pixels it was made with: an image that EXIF turns is another."""

from __future__ import annotations

from dataclasses import replace

from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.opening import open_source
from emu_perception.cameras.source import InputImage
from emu_perception.commands.camera_choice import CameraChoice
from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
import numpy as np
import pytest
from run_bench import HEIGHT, turn_by_exif, WIDTH, write_images


def image_of(size, orientation, **changes):
    """Return an image whose calibration is of ``size`` (width, height)."""
    return InputImage('a.jpg', Header(0, 'camera'), lambda: np.zeros((1, 1, 3), np.uint8),
                      replace(pinhole_info(*size, 500.0), **changes),
                      orientation=lambda: orientation)


@pytest.mark.parametrize(('info', 'turned', 'size', 'used'), [
    ((640, 480), 1, (640, 480), True),
    ((640, 480), 3, (640, 480), False),   # upside down: its principal point is elsewhere
    ((640, 480), 2, (640, 480), False),   # mirrored
    ((640, 480), 6, (480, 640), False),   # of the file's pixels
    ((480, 640), 6, (480, 640), True),    # of the upright image: nothing else has that size
    ((480, 480), 8, (480, 480), False)])  # of either
def test_a_calibration_is_used_where_it_is_surely_of_the_image_as_it_is_read(info, turned, size,
                                                                            used):
    choice = CameraChoice(None, None)
    camera = choice.camera_of(image_of(info, turned), *size)
    assert (camera is not None) is used
    assert used or f'a.jpg: EXIF orientation {turned} turns the image' in choice.problem


def test_a_calibration_that_the_user_gives_is_no_other():
    choice = CameraChoice(None, pinhole_info(640, 480, 500.0))
    assert choice.camera_of(image_of((640, 480), 3), 640, 480) is None
    assert 'EXIF orientation 3' in choice.problem


def test_a_focal_length_alone_has_no_direction():
    assert CameraChoice(500.0, None).camera_of(image_of((640, 480), 3), 640, 480).fx == 500.0


@pytest.mark.parametrize(('d', 'used'), [((), True), ((-0.3, 0.1, 0.0, 0.0, 0.0), False)])
def test_a_field_of_view_stands_in_for_it_unless_the_lens_distorts(d, used):
    image = image_of((640, 480), 3, distortion_model='plumb_bob', d=d)
    camera = CameraChoice(None, None, 60.0).camera_of(image, 640, 480)
    assert (camera is not None) is used


@pytest.mark.parametrize(('fx', 'hfov_deg', 'odd'), [(100.0, None, (1000, 100)),
                                                     (None, 100.0, (100, 600))])
def test_an_image_that_the_users_word_does_not_fit_has_no_camera_and_ends_nothing(
        fx, hfov_deg, odd):
    """One such image of a folder must not cost those behind it."""
    image = InputImage('a.jpg', Header(0, 'camera'), lambda: np.zeros((1, 1, 3), np.uint8))
    choice = CameraChoice(fx, None, hfov_deg)
    assert choice.camera_of(image, 640, 480) is not None
    assert choice.camera_of(image, *odd) is None and 'not plausible' in choice.problem
    assert choice.camera_of(image, 640, 480) is not None and not choice.problem
    with pytest.raises(InputError, match='not plausible'):
        CameraChoice(fx, None, hfov_deg).camera_of(image, *odd)


def test_a_field_of_view_that_no_camera_has_is_refused_in_degrees():
    """Of radians it said an fx of 34922 that nobody had given, and asked for pixels."""
    image = InputImage('a.jpg', Header(0, 'camera'), lambda: np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(InputError) as error:
        CameraChoice(None, None, 1.05).camera_of(image, 640, 480)
    assert str(error.value) == (
        '--hfov 1.05 is not plausible: it makes the longer side of 640x480 a field of view of '
        "1.05 degrees, not of 15 to 150: give the image's width in degrees")


def test_one_focal_length_for_images_of_several_sizes_is_said(caplog):
    image = InputImage('b.jpg', Header(0, 'camera'), lambda: np.zeros((1, 1, 3), np.uint8))
    choice = CameraChoice(500.0, None)
    for size in ((640, 480), (640, 480), (320, 240), (320, 240)):
        assert choice.camera_of(image, *size).fx == 500.0
    assert caplog.text.count('b.jpg is 320x240, the first image 640x480') == 1


def test_of_a_file_the_mark_is_read(tmp_path):
    path, = write_images(tmp_path, 1)
    turn_by_exif(path)
    path.unlink()
    (tmp_path / 'dataset.yaml').write_text(
        f'intrinsics: {{width: {WIDTH}, height: {HEIGHT}, fx: 90, fy: 90, cx: 60, cy: 50}}')
    choice = CameraChoice(None, None)
    with open_source(str(tmp_path), 10.0) as source:
        image, = source.images()
        assert choice.camera_of(image, WIDTH, HEIGHT) is None
    assert 'EXIF orientation 3' in choice.problem
