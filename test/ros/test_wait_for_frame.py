# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""rviz2 starts in the frame of the first image, whoever the camera is."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from node_bench import rgb_image
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage, Image

ROOT = Path(__file__).resolve().parents[2]


def waiting(domain_id: int, tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    """Start the program before a command that prints its own arguments."""
    command = tmp_path / 'rviz2'
    command.write_text('#!/bin/sh\necho "$@"\n')
    command.chmod(0o755)
    return subprocess.Popen(
        [sys.executable, '-m', 'emu_perception.ros.wait_for_frame', *words, str(command), '-d',
         'a b.rviz', '--ros-args', '-r', 'a:=b'], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)})


@pytest.mark.parametrize('kind, topic', [('raw', '/cam/image'),
                                         ('compressed', '/cam/image/compressed')])
def test_command_gets_the_frame_of_the_first_image(ros, domain_id, tmp_path, kind, topic):
    process = waiting(domain_id, tmp_path, topic, kind)
    camera = rclpy.create_node('camera')
    publisher = camera.create_publisher(Image if kind == 'raw' else CompressedImage, topic, 1)
    image = rgb_image(frame_id='left_optical')
    message = image if kind == 'raw' else CompressedImage(header=image.header)
    try:
        end = time.monotonic() + 30.0
        while process.poll() is None and time.monotonic() < end:
            publisher.publish(message)
            time.sleep(0.05)
        assert process.wait(5.0) == 0
        assert process.stdout.read() == '-f left_optical -d a b.rviz --ros-args -r a:=b\n'
    finally:
        process.kill()
        camera.destroy_node()


def test_signal_ends_the_wait_and_starts_nothing(ros, domain_id, tmp_path):
    process = waiting(domain_id, tmp_path, '/nobody', 'raw')
    helper = rclpy.create_node('helper')
    try:
        end = time.monotonic() + 30.0
        while not helper.count_subscribers('/nobody'):
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(10.0) == 0 and process.stdout.read() == ''
    finally:
        process.kill()
        helper.destroy_node()


@pytest.mark.parametrize('words', [[], ['/image', 'raw'], ['/image', 'theora', 'rviz2']])
def test_wrong_words_get_the_usage(capsys, words):
    from emu_perception.ros.wait_for_frame import main
    assert main(words) == 2 and 'usage' in capsys.readouterr().err
