# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Images that the middleware loses or overwrites are counted too, where it numbers them."""

from __future__ import annotations

import time

from emu_perception.ros import subscriptions
from emu_perception.ros.camera_source import CameraSource
from emu_perception.ros.loss_watch import LossCounter
from emu_perception.ros.subscriptions import Subscriptions
from node_bench import rgb_image, TIMEOUT_S
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image


@pytest.mark.parametrize('numbers, several, lost', [
    ([4, 5, 6], False, 0), ([4, 7, 8, 10], False, 3), ([9, 1, 2, 4], False, 1),
    ([1, 50, 2, 51], True, 0), ([None, None], False, None)])
def test_gaps_are_losses_but_not_a_restart_nor_two_cameras(numbers, several, lost):
    counter = LossCounter()
    for number in numbers:
        counter.note({'publication_sequence_number': number}, lambda: several)
    assert counter.lost == lost


@pytest.mark.parametrize('numbers, several, others', [
    ([4, 5, 9, 10], True, []), ([9, 1, 2, 3], False, []), ([9, 1, 2, 3], True, [1]),
    ([9, 1, 10, 2, 11], True, [1, 3]), ([5, 6, 6, 7, 7], True, [2, 4]),
    ([0, 0, 0], False, []), ([None, None], True, [])])
def test_a_number_that_does_not_rise_is_another_publishers_where_there_are_two(
        numbers, several, others):
    counter = LossCounter()
    assert [index for index, number in enumerate(numbers) if counter.note(
        {'publication_sequence_number': number}, lambda: several)] == others


def test_what_came_while_inactive_is_no_loss_and_the_count_goes_on():
    counter = LossCounter()
    for number in (1, 3):
        counter.note({'publication_sequence_number': number}, lambda: False)
    counter.begin()
    counter.note({'publication_sequence_number': 90}, lambda: False)
    assert counter.lost == 1


def test_middleware_without_message_information_is_told_as_unknown():
    counter = LossCounter()
    counter.note({}, lambda: False)
    assert counter.lost is None


def test_images_overwritten_before_the_callback_are_counted(ros):
    if not subscriptions._HAS_MESSAGE_INFO:
        pytest.skip('NOT TESTED: this rclpy passes no message information')
    camera, node = rclpy.create_node('camera'), rclpy.create_node('robot')
    publisher = camera.create_publisher(Image, 'image', 10)
    inputs, seen, sent = Subscriptions(node), [], 0
    inputs.start(CameraSource('/image', '/camera_info'), 'raw',
                 lambda message, other_sender: seen.append(message))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end = time.monotonic() + TIMEOUT_S
    while not (inputs.lost and seen[-1].header.stamp.sec == sent):
        assert time.monotonic() < end, f'{len(seen)} of {sent} seen, {inputs.lost} lost'
        for _ in range(4):  # into a queue of one, while nobody takes
            sent += 1
            publisher.publish(rgb_image(sec=sent))
        executor.spin_once(timeout_sec=0.2)
        executor.spin_once(timeout_sec=0.2)
    first = seen[0].header.stamp.sec  # before it the two were not connected
    assert len(seen) + inputs.lost == sent - first + 1
    inputs.stop()
    camera.destroy_node()
    node.destroy_node()
