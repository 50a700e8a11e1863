# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""README's "Your own robot": from a bag of colour and depth to a model that the robot loads."""

from __future__ import annotations

import json
from pathlib import Path
import re
import shlex

import cv2
from emu_perception.checkpoint import read_metadata
from emu_perception.commands import emu
from emu_perception.predictor import Predictor
from emu_perception.scores import fitted_scores
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2')
ROOT = Path(__file__).parents[2]
FRAMES, SIZE, FX = 60, (96, 128), 110.0


def record(path: Path) -> None:
    """Write a bag at 10 Hz: a wall that comes nearer, its depth in millimetres, camera_info."""
    from rosbags.typesys import get_typestore, Stores
    types = get_typestore(Stores.ROS2_JAZZY)
    message = types.types
    height, width = SIZE
    with rosbag2.Writer(path, version=9) as writer:
        topics = {name: (writer.add_connection(name, kind, typestore=types), kind)
                  for name, kind in (
                      ('/camera/color/image_raw', 'sensor_msgs/msg/Image'),
                      ('/camera/color/camera_info', 'sensor_msgs/msg/CameraInfo'),
                      ('/camera/aligned_depth_to_color/image_raw', 'sensor_msgs/msg/Image'))}

        def write(topic: str, stamp: int, content: object) -> None:
            connection, kind = topics[topic]
            writer.write(connection, stamp, types.serialize_cdr(content, kind))

        for index in range(FRAMES):
            stamp = 10**9 + index * 10**8
            header = message['std_msgs/msg/Header'](
                stamp=message['builtin_interfaces/msg/Time'](
                    sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id='camera')
            image = np.full((height, width, 3), 40 + 3 * index, np.uint8)
            cv2.circle(image, (20 + index, 48), 15, (200, 60, 30), -1)
            depth = np.full(SIZE, 4000 - 50 * index, np.uint16)

            def picture(pixels: np.ndarray, encoding: str, header: object = header) -> object:
                return message['sensor_msgs/msg/Image'](
                    header=header, height=height, width=width, encoding=encoding, is_bigendian=0,
                    step=pixels.strides[0], data=np.frombuffer(pixels.tobytes(), np.uint8))
            write('/camera/color/image_raw', stamp, picture(image, 'rgb8'))
            write('/camera/aligned_depth_to_color/image_raw', stamp, picture(depth, '16UC1'))
            k = np.array([FX, 0, 64, 0, FX, 48, 0, 0, 1.0])
            write('/camera/color/camera_info', stamp, message['sensor_msgs/msg/CameraInfo'](
                header=header, height=height, width=width, distortion_model='plumb_bob',
                d=np.zeros(5), k=k, r=np.eye(3).ravel(),
                p=np.array([FX, 0, 64, 0, 0, FX, 48, 0, 0, 0, 1, 0.0]), binning_x=0, binning_y=0,
                roi=message['sensor_msgs/msg/RegionOfInterest'](
                    x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)))


def commands(page: str, title: str) -> list[list[str]]:
    """Return the training commands of a section, split into words."""
    text = (ROOT / page).read_text()
    section = text.split(f'## {title}')[1].split('\n## ')[0].replace('\\\n', ' ')
    return [shlex.split(line)
            for line in section.splitlines() if re.match(r' {4}emu ', line)]


def test_the_page_of_own_data_says_what_the_readme_says():
    assert commands('docs/own_data.md', 'From a bag to the node') == commands(
        'README.md', 'Your own robot')


@pytest.mark.slow
def test_the_commands_of_the_readme_lead_from_a_bag_to_a_model_for_the_node(
        tmp_path, monkeypatch, capsys):
    steps = commands('README.md', 'Your own robot')
    assert [words[1] for words in steps] == [
        'prepare', 'prepare', 'train', 'calibrate', 'evaluate', 'ship']
    monkeypatch.chdir(tmp_path)
    record(tmp_path / 'my_bag')
    small = ['epochs=1', 'input_size=[96, 128]', 'batch_size=4', '--no-progress']
    for words in steps:
        more = small if words[1] == 'train' else []
        assert emu.main([*words[1:], *more]) == 0, (words, capsys.readouterr().err)
    metadata = read_metadata(tmp_path / 'mine.safetensors')
    teacher = read_metadata(ROOT / 'models/emu_default.safetensors')
    assert metadata.classes == teacher.classes, 'not the labels of the default model'
    assert metadata.intrinsics.fx == FX and metadata.calibration.scores.keys() == {
        row.name for row in fitted_scores(metadata.tasks)}
    assert metadata.provenance['teacher'] and metadata.provenance['calibration']
    assert json.loads((tmp_path / 'mine.json').read_text())['depth']['rmse'] > 0
    prediction = Predictor.load(tmp_path / 'mine.safetensors', 'cpu')(
        np.zeros((*SIZE, 3), np.uint8), fx=FX)
    assert prediction.label is not None and prediction.depth is not None
