# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Each image of a bag takes the camera_info that the node would have had for it."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path

import cv2
from emu_perception.cameras.bag_images import BagImages, calibrations, find_info_topic
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.opening import open_source
from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
from emu_perception.recordings.reader import open_bag, RecordingError
from emu_perception.recordings.writer import RecordingWriter
import numpy as np
import pytest
from rosbags.typesys import get_typestore, Stores

IMAGE, INFO = '/cam/image_raw', '/cam/camera_info'
S = 10**9


def cdr(message: object) -> bytes:
    """Return a message as it lies in a bag."""
    store = get_typestore(Stores.ROS2_JAZZY)
    return bytes(store.serialize_cdr(message, message.__msgtype__))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a bag of ('image', stamp) and ('info', stamp, fx)."""
    def writing(*events: tuple) -> Path:
        bag = RecordingWriter(tmp_path / 'bag')
        for index, (kind, stamp, *fx) in enumerate(events):
            header = Header(stamp, 'cam')
            if kind in ('image', 'cut'):
                image = bag.make.image(np.zeros((48, 64, 3), np.uint8), 'rgb8', header)
                if kind == 'image':
                    bag.write(IMAGE, image, index)
                else:
                    bag.write_raw(IMAGE, image.__msgtype__, cdr(image)[:fx[0]], index)
                continue
            info = bag.make.camera_info(pinhole_info(64, 48, fx[0]), header)
            if kind == 'info':
                bag.write(INFO, info, index)
            else:  # 'damaged'
                bag.write_raw(INFO, info.__msgtype__, cdr(info)[:fx[1]], index)
        bag.close()
        return tmp_path / 'bag'
    return writing


def focal_lengths(path: Path) -> list[float | None]:
    """Return fx of each image's calibration."""
    with open_source(str(path), 10.0) as source:
        return [image.info.k[0] if image.info else None for image in source.images()]


def test_an_image_takes_the_camera_info_of_its_own_stamp_whichever_comes_first(write):
    path = write(('info', S, 50.0), ('image', S), ('image', 2 * S), ('info', 2 * S, 60.0),
                 ('info', 3 * S, 70.0), ('info', 4 * S, 80.0), ('image', 3 * S))
    assert focal_lengths(path) == [50.0, 60.0, 70.0]


def test_without_one_of_its_stamp_it_takes_the_latest_and_before_all_the_first(write):
    path = write(('image', S), ('info', 5 * S, 50.0), ('image', 6 * S), ('info', 7 * S, 60.0),
                 ('image', 8 * S))
    assert focal_lengths(path) == [50.0, 50.0, 60.0]


def test_different_ones_of_one_stamp_are_no_calibration_as_in_the_node(write):
    path = write(('image', S), ('info', S, 50.0), ('info', S, 50.0), ('image', 2 * S),
                 ('info', 2 * S, 60.0), ('info', 2 * S, 80.0), ('image', 3 * S))
    assert focal_lengths(path) == [50.0, None, 80.0]
    with open_source(str(path), 10.0) as source:
        problems = [image.info_problem for image in source.images()]
    assert problems[::2] == ['', ''] and '2 different ones of one stamp' in problems[1]


@pytest.mark.parametrize('left', [0, 1, 3, 11, 12, 40])
def test_a_message_that_is_cut_anywhere_costs_no_other(write, left):
    """A disk that was full leaves them of no bytes at all."""
    path = write(('image', S), ('info', S, 50.0), ('damaged', 2 * S, 60.0, left), ('image', 2 * S),
                 ('cut', 3 * S, left), ('info', 3 * S, 70.0), ('image', 4 * S))
    read = []
    with open_source(str(path), 10.0) as source:
        for image in source.images():
            try:
                read.append(image.read().shape)
            except InputError:
                read.append(None)
    assert read == [(48, 64, 3), (48, 64, 3), None, (48, 64, 3)]
    # Whose the damaged one was is known as long as its stamp is.
    assert focal_lengths(path) == [50.0, 50.0 if left < 12 else None, 50.0 if left < 12 else 70.0,
                                   70.0]


@pytest.mark.parametrize('damaged', [0, 1, 2])
def test_a_damaged_camera_info_costs_its_image_the_metres_and_nobody_else_anything(
        write, caplog, damaged):
    events = [event for second in range(1, 5) for event in (
        ('image', second * S), ('damaged' if second == damaged + 1 else 'info', second * S,
                                40.0 + 10 * second, 40))]
    path = write(*events)
    assert focal_lengths(path) == [None if index == damaged else 50.0 + 10 * index
                                   for index in range(4)]
    assert caplog.text.count("a camera_info on '/cam/camera_info' is damaged") == 1
    with open_bag(path) as bag:
        assert len(list(calibrations(bag, INFO))) == 3


def test_an_image_sent_again_is_left_out_and_said_as_the_node_drops_it(write, caplog):
    """The flag of a frozen driver's recording was that of many images, on the robot of one."""
    path = write(('image', 7 * S), ('info', 7 * S, 50.0), ('image', 7 * S), ('image', 7 * S),
                 ('image', 8 * S), ('image', 0), ('image', 8 * S), ('image', 0), ('image', 7 * S))
    with open_source(str(path), 10.0) as source:
        for _ in range(2):  # Called again it begins again.
            stamps = [image.record.stamp_ns for image in source.images()]
            # 0 is no stamp, and tells nothing.
            assert stamps == [7 * S, 8 * S, 0, 0, 7 * S]
        assert not source.loss, 'what is left out was read'
    line, = [record.getMessage() for record in caplog.records
             if 'of the one before' in record.getMessage()]
    assert f"'{IMAGE}' has the stamp of the one before, 7.000000000" in line


@pytest.mark.parametrize(('second', 'words'), [
    ({'frame': 'rear'}, 'an image is of frame '),
    ({'size': (96, 80)}, 'images of 64x48 rgb8 and of 80x96 rgb8 come in turn'),
    ({'size': (96, 80), 'packed': True}, 'images of 64x48 and of 80x96 come in turn'),
    ({}, '')])
def test_two_cameras_in_one_topic_are_refused_as_the_node_refuses_them(tmp_path, second, words):
    """By what the headers say: no picture is decoded for it."""
    bag = RecordingWriter(tmp_path / 'bag')
    for index in range(16):
        other = second if index % 2 else {}
        rgb = np.zeros((*other.get('size', (48, 64)), 3), np.uint8)
        header = Header(S + index, other.get('frame', 'cam'))
        if second.get('packed'):
            bag.write(IMAGE, bag.make.compressed_image(
                cv2.imencode('.jpg', rgb)[1].tobytes(), 'jpeg', header), S + index * S // 10)
        else:
            bag.write(IMAGE, bag.make.image(rgb, 'rgb8', header), S + index * S // 10)
    bag.close()
    said = []
    with open_source(str(tmp_path / 'bag'), 10.0) as source:
        for image in source.images():
            try:
                image.read()
                said.append('')
            except InputError as error:
                said.append(str(error))
    assert len(said) == 16 and not said[0]
    assert all(f"topic '{IMAGE}': {words}" in text if words else not text for text in said[6:])


def test_a_stamp_before_all_time_is_none(write):
    """A recording of the results has no place for it, and ended in a traceback."""
    path = write(('image', -5 * S), ('image', -5 * S), ('image', 3 * S))
    with open_source(str(path), 10.0) as source:
        assert [image.record.stamp_ns for image in source.images()] == [0, 0, 3 * S]
        assert all(image.header.stamp_ns >= 0 for image in source.images())


def test_of_camera_infos_without_stamps_the_newest_counts_and_it_is_said(write, caplog):
    path = write(('info', 0, 50.0), ('image', 0), ('info', 0, 60.0), ('image', 0),
                 ('info', 0, 70.0), ('info', 0, 75.0), ('image', 0))
    with caplog.at_level(logging.WARNING):
        assert focal_lengths(path) == [50.0, 60.0, 75.0]
    assert f"bag: camera_info on '{INFO}' has stamp 0: the newest counts" in caplog.text


def test_stamped_images_with_camera_infos_without_stamps_take_the_newest(write):
    path = write(('info', 0, 50.0), ('image', S), ('info', 0, 60.0), ('image', 2 * S))
    assert focal_lengths(path) == [50.0, 60.0]


def test_of_a_missing_topic_those_are_named_first_that_can_be_meant(write):
    """Among all topics of a robot's recording they were lost."""
    with open_bag(write(('image', S), ('info', S, 50.0))) as bag:
        for kind, order in (('CameraInfo', (INFO, IMAGE)), ('Image', (IMAGE, INFO))):
            with pytest.raises(RecordingError, match='{} .*{} '.format(*order)):
                bag.check_topic('/other', (f'sensor_msgs/msg/{kind}',))


def test_a_topic_that_was_asked_for_and_is_not_there_is_one_line(write, caplog):
    path = write(('image', S))
    with open_bag(path) as bag:
        with pytest.raises(RecordingError, match="has no topic '/other/camera_info'"):
            BagImages(bag, IMAGE, '/other/camera_info')
        with caplog.at_level(logging.WARNING):
            assert find_info_topic(bag, IMAGE, None) is None
        assert f"no camera_info at '{INFO}'" in caplog.text
        assert list(calibrations(bag, None)) == []
