# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The message types, from ``rosbags``; without it one line says how to get it."""

from __future__ import annotations

from typing import Any

from emu_perception.errors import InputError

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


def typestore(purpose: str) -> Any:
    """
    Return the types of Jazzy, whose common messages are those of Humble and Kilted too.

    :param purpose: what they are needed for, said where rosbags is missing.
    :raises InputError: if rosbags is not installed.
    """
    try:
        from rosbags.typesys import get_typestore, Stores
    except ImportError as error:
        raise InputError(f'{purpose} needs the Python package rosbags, which is not installed '
                         f'({error}): pip install rosbags') from error
    return get_typestore(Stores.ROS2_JAZZY)
