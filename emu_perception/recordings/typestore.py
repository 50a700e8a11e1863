# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The message types, from ``rosbags``; without it one line says how to get it."""

from __future__ import annotations

from typing import Any

from emu_perception.errors import InputError

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
# Not among the common messages: the fields that vision_msgs defines.
_OTHERS = {LABEL_INFO: 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\n'
                       'float32 threshold\n',
           'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n'}


def typestore(purpose: str) -> Any:
    """
    Return the types of Jazzy, whose common messages are those of Humble and Kilted too.

    And ``vision_msgs/LabelInfo``.

    :param purpose: what they are needed for, said where rosbags is missing.
    :raises InputError: if rosbags is not installed.
    """
    try:
        from rosbags.typesys import get_types_from_msg, get_typestore, Stores
    except ImportError as error:
        raise InputError(f'{purpose} needs the Python package rosbags, which is not installed '
                         f'({error}): pip install rosbags') from error
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in _OTHERS.items():
        store.register(get_types_from_msg(definition, name))
    return store
