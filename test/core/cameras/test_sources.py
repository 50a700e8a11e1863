# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Files, videos and devices give the images of a camera, in order and each with its camera."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
import os
from pathlib import Path
import struct
import zlib

import cv2
from emu_perception.cameras import video
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.calibration_files import write_calibration
from emu_perception.cameras.image_files import image_paths, ImageFiles, read_image
from emu_perception.cameras.opening import open_source
from emu_perception.cameras.source import Source
from emu_perception.cameras.video import Device, Video
from emu_perception.errors import InputError
import numpy as np
import pytest


@pytest.fixture
def opened() -> Iterator:
    """Return open_source, whose sources are closed with the test."""
    with ExitStack() as stack:
        def opening(given: object, **options: object) -> Source:
            return stack.enter_context(open_source(str(given), 10.0, **options))
        yield opening


def test_what_other_systems_leave_is_no_image(folder, opened):
    before = [image.name for image in opened(folder).images()]
    (folder / '._2.png').write_bytes(b'Mac OS X')
    (folder / os.fsdecode(b'a_\x89\xe6.png')).write_bytes((folder / '2.png').read_bytes())
    images = list(opened(folder).images())
    assert [image.name for image in images if image.name in before] == before
    (odd,) = [image for image in images if image.name not in before]
    assert (odd.read() == picture(0)[..., ::-1]).all(), 'a name that is no UTF-8'


def picture(value: int = 0) -> np.ndarray:
    """Return a smooth 64x48 picture, bgr."""
    noise = np.random.default_rng(value).integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.resize(noise, (64, 48))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of images whose names are in order when numbers count as numbers."""
    place = tmp_path / 'images'
    place.mkdir()
    for index, name in enumerate(('2.png', '10.jpg', 'a1.png', 'a1b2.png', 'a1b10.png')):
        cv2.imwrite(str(place / name), picture(index))
    (place / 'notes.txt').write_text('no image')
    return place


def test_numbers_in_names_count_as_numbers(folder, opened):
    source = opened(folder)
    assert [image.name for image in source.images()] == [
        '2.png', '10.jpg', 'a1.png', 'a1b2.png', 'a1b10.png']
    assert [image.header.stamp_ns for image in source.images()] == [
        index * 10**8 for index in range(5)], 'called again it begins again'
    assert (source.total, source.stamped, source.live) == (5, False, False)
    np.testing.assert_array_equal(next(source.images()).read(), picture(0)[..., ::-1])


def test_odd_names_are_names(tmp_path, opened):
    data = cv2.imencode('.png', picture())[1].tobytes()
    for name in (b'1\xc2\xb23.png', b'1a.png', b'a_\x89\xe6.png'):  # Superscript two; no UTF-8.
        Path(os.fsdecode(os.fsencode(tmp_path) + b'/' + name)).write_bytes(data)
    images = list(opened(tmp_path).images())
    assert [image.name for image in images] == ['1a.png', '1\xb23.png', 'a_\ufffd\ufffd.png']
    assert all(image.read().shape == (48, 64, 3) for image in images)


def test_names_of_19_digits_are_stamps(tmp_path, opened):
    for stamp in (1_700_000_000_000_000_000, 1_700_000_000_500_000_000):
        cv2.imwrite(str(tmp_path / f'{stamp}.png'), picture())
    source = opened(tmp_path)
    assert source.stamped and source.rate_hz == 2.0
    assert [image.header.stamp_ns for image in source.images()] == [
        1_700_000_000_000_000_000, 1_700_000_000_500_000_000]


def test_names_of_19_digits_that_no_message_can_have_for_a_stamp_are_names(tmp_path, opened):
    """The recording of the results ended in a traceback: seconds have 31 bits."""
    for stamp in (9_999_999_999_999_999_998, 9_999_999_999_999_999_999):
        cv2.imwrite(str(tmp_path / f'{stamp}.png'), picture())
    source = opened(tmp_path)
    assert not source.stamped
    assert [image.header.stamp_ns for image in source.images()] == [0, 10**8]


def test_the_root_of_a_data_set_is_its_images(folder):
    (folder.parent / 'image').mkdir()
    cv2.imwrite(str(folder.parent / 'image/x.png'), picture())
    assert [path.name for path in image_paths(folder.parent)] == ['x.png']


def test_calibration_beside_an_image_is_that_images_and_dataset_yaml_is_the_others(folder):
    write_calibration(folder / '10.yaml', pinhole_info(64, 48, 60.0))
    (folder / 'a1.yaml').write_text('image_width: 3')
    (folder / 'dataset.yaml').write_text(
        'intrinsics: {width: 64, height: 48, fx: 50, fy: 50, cx: 31.5, cy: 23.5}')
    images = {image.name: image for image in ImageFiles(image_paths(folder), 10.0).images()}
    assert images['2.png'].info == pinhole_info(64, 48, 50.0)
    assert images['10.jpg'].info == pinhole_info(64, 48, 60.0)
    assert images['a1.png'].info is None, "not the folder's: it has one of its own"
    assert "a1.yaml: field 'image_height' is missing" in images['a1.png'].info_problem
    assert images['2.png'].info_problem == ''


def test_a_dataset_yaml_that_cannot_be_used_is_one_line(folder, opened):
    (folder / 'dataset.yaml').write_text('intrinsics: {width: 64}')
    with pytest.raises(InputError, match="dataset.yaml: field 'intrinsics' is .*give .*fx"):
        opened(folder)


@pytest.mark.parametrize(('name', 'data', 'words'), [
    ('cut.jpg', cv2.imencode('.jpg', picture())[1].tobytes()[:400], 'truncated'),
    ('cut.png', cv2.imencode('.png', picture())[1].tobytes()[:400], 'truncated'),
    ('text.png', b'no image', 'no image that OpenCV reads'), ('empty.jpg', b'', 'no data'),
])
def test_a_file_that_is_cut_or_no_image_is_never_a_picture(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / name)


def test_a_files_bytes_go_on_as_they_are_unless_it_says_how_to_turn_it(folder, opened):
    images = {image.name: image for image in opened(folder).images()}
    assert images['10.jpg'].encoded() == (
        (folder / '10.jpg').read_bytes(), 'rgb8; jpeg compressed bgr8')
    assert images['2.png'].encoded()[1] == 'rgb8; png compressed bgr8'
    data = (folder / '10.jpg').read_bytes()
    (folder / '10.jpg').write_bytes(data[:2] + b'\xff\xe1\x00\x08Exif\0\0' + data[2:])
    assert images['10.jpg'].encoded() is None
    # Behind its pixels, where a PNG may have it: else a recording holds it beside turned maps.
    data = (folder / '2.png').read_bytes()
    block = (b'eXIfII*\0' + struct.pack('<IH', 8, 1) + struct.pack('<HHIHH', 0x112, 3, 1, 3, 0)
             + b'\0\0\0\0')
    late = (struct.pack('>I', len(block) - 4) + block + struct.pack('>I', zlib.crc32(block)))
    (folder / '2.png').write_bytes(data[:-12] + late + data[-12:])
    assert images['2.png'].orientation() == 3 and images['2.png'].encoded() is None


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Return a video of three frames, 5 a second."""
    path = tmp_path / 'video.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (64, 48))
    if not writer.isOpened():
        pytest.skip('NOT TESTED: this OpenCV cannot write videos')
    for value in (0, 100, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    return path


def test_a_video_begins_again_with_its_first_frame(film, opened):
    source = opened(film)
    assert isinstance(source, Video) and source.rate_hz == pytest.approx(5.0)
    for _ in range(2):
        frames = [(image.name, image.header.stamp_ns, int(image.read()[0, 0, 0]))
                  for image in source.images()]
        assert [name for name, _, _ in frames] == ['000000', '000001', '000002']
        assert [stamp for _, stamp, _ in frames] == pytest.approx([0, 2e8, 4e8], abs=1e6)
        assert [value for _, _, value in frames] == pytest.approx([0, 100, 200], abs=3)


class FakeCapture:
    """A camera that gives two frames, then none, then frames again."""

    def __init__(self, device: object) -> None:
        self.device, self.asked, self.closed = device, 0, False

    def isOpened(self) -> bool:  # noqa: N802
        return self.device != 9

    def get(self, _: int) -> float:
        return 0.0

    def grab(self) -> bool:
        self.asked += 1
        return self.asked != 3

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return self.asked != 2, picture() if self.asked != 2 else None

    def release(self) -> None:
        self.closed = True


def test_a_device_is_asked_again_after_it_gave_nothing(monkeypatch, tmp_path, opened):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(video.cv2, 'VideoCapture', FakeCapture)
    source = opened('0')
    assert isinstance(source, Device) and source.live and source._capture.device == 0
    assert source.rate_hz == 10.0, 'it says none'
    images = []
    for image in source.images():
        images.append(image)
        if len(images) == 2:
            with pytest.raises(InputError, match='cannot be decoded'):
                image.read()
    assert [image.name for image in images] == ['000000', '000001']
    again = next(source.images())
    assert again.name == '000002' and again.header.stamp_ns > images[0].header.stamp_ns > 1e18
    np.testing.assert_array_equal(again.read(), picture()[..., ::-1])
    with pytest.raises(InputError, match='9: OpenCV cannot open it as a camera'):
        opened('9')


@pytest.mark.parametrize(('given', 'words'), [
    ('nowhere', 'nowhere: no such file or folder'), ('empty', 'holds no image'),
    ('video.mp4', 'cannot be opened'), ('one.bag', 'ROS 1 bag'),
    ('/dev/null', '/dev/null: OpenCV cannot open it as a camera')])
def test_what_is_no_camera_is_one_line(tmp_path, opened, given, words):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'video.mp4').write_bytes(b'no video at all')
    (tmp_path / 'one.bag').touch()
    with pytest.raises(InputError, match=words):
        opened(tmp_path / given)


@pytest.mark.parametrize('nobody', ['~emu_has_no_such_user/in', '~emu_has_no_such_user'])
def test_the_home_of_nobody_is_one_line_too(opened, nobody):
    """Path.expanduser raises RuntimeError of it, which ended the command with a traceback."""
    with pytest.raises(InputError, match=f'{nobody}: no such file or folder'):
        opened(nobody)


def test_pictures_of_formats_that_are_not_read_are_said_with_what_to_do(tmp_path, caplog):
    """A phone's HEIC in a folder of JPEGs was left out without a word."""
    (tmp_path / 'b.HEIC').write_bytes(b'ftypheic')
    (tmp_path / 'a.txt').touch()
    for given in (tmp_path, tmp_path / 'b.HEIC'):
        with pytest.raises(InputError, match='save HEIC, AVIF, GIF and DNG as JPEG or PNG'):
            with open_source(str(given), 10.0):
                pass
    assert not caplog.messages
    cv2.imwrite(str(tmp_path / 'c.png'), picture())
    assert [path.name for path in image_paths(tmp_path)] == ['c.png']
    line, = caplog.messages
    assert line.startswith(f'{tmp_path}: pictures of another format are left out (1, one is b.H')


def test_a_topic_of_what_is_no_bag_is_refused(folder, opened):
    with pytest.raises(InputError, match="topic '/cam' .*--image-topic.* is for a ROS 2 bag"):
        opened(folder, image_topic='/cam')
