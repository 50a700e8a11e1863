# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images that are sent while a receiver has no processor time arrive all the same."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import time

import cv2
from emu_perception.ros import shared_memory
from emu_perception.ros.loss_watch import LossWatch
from emu_perception.ros.shared_memory import objection, profile_variables, PROFILES, SWITCH
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / 'config/fastdds.xml'
MUCH = shared_memory.ROOM_BYTES


@pytest.mark.parametrize('said, value', [
    *((name, '/mine.xml') for name in PROFILES), ('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA'),
    ('ROS_DISCOVERY_SERVER', '127.0.0.1:11811'), ('ROS_LOCALHOST_ONLY', '1'),
    ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET'), ('RMW_IMPLEMENTATION', 'rmw_zenoh_cpp'),
    (SWITCH, 'off')])
def test_what_the_user_has_said_of_the_middleware_counts(said, value):
    variables, line = profile_variables({said: value}, PROFILE)
    assert not variables and said in line and 'config/fastdds.xml is not used' in line


@pytest.mark.parametrize('environment', [
    {}, {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'}, {'ROS_LOCALHOST_ONLY': '0'}, {PROFILES[0]: ''},
    {'ROS_DOMAIN_ID': '7'}])
def test_the_profile_is_set_where_nothing_speaks_against_it(environment):
    assert objection(environment, MUCH) == ''
    variables, line = profile_variables(environment, PROFILE)
    assert variables == dict.fromkeys(PROFILES, str(PROFILE)) and str(PROFILE) in line
    assert profile_variables({**environment, **variables}, PROFILE) == ({}, line)


@pytest.mark.parametrize('name, other', [PROFILES, PROFILES[::-1]])
def test_the_profile_in_one_of_the_variables_is_in_use_and_comes_into_the_other(
        tmp_path, name, other):
    link = tmp_path / 'fastdds.xml'
    link.symlink_to(PROFILE)
    variables, line = profile_variables({name: str(link)}, PROFILE)
    assert variables == {other: str(PROFILE)} and line.startswith('shared memory for images')
    variables, line = profile_variables({name: str(link), other: '/mine.xml'}, PROFILE)
    assert not variables and f'not used: {other} is set' in line


def test_the_profile_is_not_said_to_be_used_by_another_middleware():
    variables, line = profile_variables({**dict.fromkeys(PROFILES, str(PROFILE)),
                                         'RMW_IMPLEMENTATION': 'rmw_zenoh_cpp'}, PROFILE)
    assert not variables and 'not used: RMW_IMPLEMENTATION is rmw_zenoh_cpp' in line


@pytest.mark.parametrize('free', [None, MUCH - 1])
def test_memory_that_is_not_there_is_not_written_into(free):
    assert '/dev/shm has less than 128 MB' in objection({}, free)


def test_a_missing_profile_is_said(tmp_path):
    variables, line = profile_variables({}, tmp_path / 'none.xml')
    assert not variables and 'none.xml is missing' in line


def seen(*counts: tuple[int, int | None]) -> LossWatch:
    watch = LossWatch()
    for second, (received, lost) in enumerate(counts):
        watch.note(float(second), received, lost)
    return watch


def problem(watch: LossWatch, size: int = 921600, rmw: str = 'rmw_fastrtps_cpp') -> str:
    return watch.problem('/image', size, rmw)


def test_losses_are_said_with_their_cause_and_both_remedies():
    text = problem(seen((0, 0), (2, 8)))
    assert text.startswith('8 of the last 10 images on /image (0.92 MB each) were lost before')
    assert 'config/fastdds.xml' in text
    assert 'qos_overrides./image.subscription.reliability: reliable' in text
    assert 'too busy' in problem(seen((0, 0), (2, 8)), size=200000)
    assert 'rmw_zenoh_cpp' in problem(seen((0, 0), (2, 8)), rmw='rmw_zenoh_cpp')


@pytest.mark.parametrize('counts', [
    [], [(0, None), (9, None)], [(0, 90), (5, 94)], [(0, 0), (99, 9)],
    [(0, 0), (0, 50), *[(9, 50)] * 15]])
def test_few_losses_old_losses_and_unknown_ones_are_no_warning(counts):
    assert problem(seen(*counts)) == ''


def test_another_activation_begins_anew():
    watch = seen((0, 0), (2, 8))
    watch.begin()
    assert problem(watch) == ''


LISTENER = """
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node('busy_listener')
node.create_subscription(Image, 'image', lambda image: print(image.width, flush=True),
                         qos_profile_sensor_data)
print('ready', flush=True)
rclpy.spin(node)
"""


@pytest.mark.slow
def test_image_sent_while_its_receiver_has_no_processor_arrives(tmp_path, domain_id):
    """Fails with Fast DDS's own segment of 512 KB: the pieces are overwritten unread."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from std_srvs.srv import Trigger
    cv2.imwrite(str(tmp_path / 'vga.png'), np.zeros((480, 640, 3), np.uint8))
    spoken = ('FASTDDS_', 'FASTRTPS_', 'ROS_AUTOMATIC', 'ROS_LOCALHOST', 'RMW_', 'EMU_')
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(spoken)}
    environment['ROS_DOMAIN_ID'] = str(domain_id + 1)  # a domain that only these three are on
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id + 1)
    driver = rclpy.create_node('driver', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(driver)
    step = driver.create_client(Trigger, '/replay_camera/step')
    listener = subprocess.Popen([sys.executable, '-c', LISTENER], env=environment, text=True,
                                stdout=subprocess.PIPE)
    camera = subprocess.Popen(
        [sys.executable, '-m', 'emu_perception.ros.replay_camera', '--ros-args', '-p',
         f'source:={tmp_path}', '-p', 'step:=true'], env=environment, cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == 'ready\n'
        assert step.wait_for_service(60.0), 'no camera'
        end = time.monotonic() + 60.0
        while not driver.count_publishers('/image') or not driver.count_subscribers('/image'):
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(1.0)  # they have to find each other too
        listener.send_signal(19)  # SIGSTOP
        try:
            answer = step.call_async(Trigger.Request())
            executor.spin_until_future_complete(answer, 20.0)
            assert answer.result().success
            time.sleep(0.3)
        finally:
            listener.send_signal(18)  # SIGCONT
        time.sleep(1.0)
        listener.kill()
        assert listener.stdout.read() == '640\n'
    finally:
        for process in (listener, camera):
            process.kill()
        executor.shutdown()
        driver.destroy_node()
        rclpy.try_shutdown(context=context)
    said = camera.stderr.read()
    assert 'shared memory for images: ' in said, said
