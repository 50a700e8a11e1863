# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Each image of a bag takes the camera_info that the node would have had for it."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path

from emu_perception.cameras.bag_images import BagImages, calibrations, find_info_topic
from emu_perception.cameras.calibration import pinhole_info
from emu_perception.cameras.opening import open_source
from emu_perception.recordings.messages import Header
from emu_perception.recordings.reader import open_bag, RecordingError
from emu_perception.recordings.writer import RecordingWriter
import numpy as np
import pytest

IMAGE, INFO = '/cam/image_raw', '/cam/camera_info'
S = 10**9


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a bag of ('image', stamp) and ('info', stamp, fx)."""
    def writing(*events: tuple) -> Path:
        bag = RecordingWriter(tmp_path / 'bag')
        for index, (kind, stamp, *fx) in enumerate(events):
            header = Header(stamp, 'cam')
            if kind == 'image':
                pixels = np.zeros((48, 64, 3), np.uint8)
                bag.write(IMAGE, bag.make.image(pixels, 'rgb8', header), index)
            else:
                info = bag.make.camera_info(pinhole_info(64, 48, fx[0]), header)
                bag.write(INFO, info, index)
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
