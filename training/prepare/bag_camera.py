# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Intrinsics from a bag's camera_info."""

from __future__ import annotations

import logging
from typing import Any

from emu_perception.checkpoint import Intrinsics
from emu_perception.recordings.camera import beside, looks_rectified
from emu_perception.recordings.reader import Bag
from emu_perception.recordings.typestore import CAMERA_INFO
from training.data.dataset_folder import DatasetError

LOGGER = logging.getLogger('training')


def read_camera_info(bag: Bag, image_topic: str, info_topic: str | None) -> Any | None:
    """
    Return the first camera_info of a topic.

    :param info_topic: None looks beside the image topic, as image_transport lays them out.
    :return: the message, or None (with a warning) where the bag has none.
    :raises DatasetError: if the topic was asked for and is not there, or is empty.
    """
    topic = info_topic or beside(image_topic)
    if info_topic is None and bag.topics.get(topic) != CAMERA_INFO:
        LOGGER.warning("no camera_info at '%s': dataset.yaml gets no intrinsics, and depth cannot "
                       'be corrected for a camera of another focal length; see '
                       '--camera-info-topic', topic)
        return None
    bag.check_topic(topic, (CAMERA_INFO,))
    for _, _, message in bag.messages([topic]):
        return message
    raise DatasetError(f"{bag.path}: topic '{topic}' has no message")


def intrinsics_of(info: Any, size: tuple[int, int], image_topic: str) -> Intrinsics:
    """
    Return the intrinsics of the images: K, and P for a rectified topic (image_rect*).

    :param size: (width, height) of the images.
    :raises DatasetError: if it is of another size, or not calibrated.
    """
    rectified = looks_rectified(image_topic)
    name, matrix, row = ('P', info.p, 4) if rectified else ('K', info.k, 3)
    if (info.width, info.height) != size:
        raise DatasetError(f'camera_info is of {info.width}x{info.height}, the images of '
                           f"'{image_topic}' are {size[0]}x{size[1]}")
    if not (matrix[0] > 0 and matrix[row + 1] > 0):
        raise DatasetError(f'camera_info: {name} has the focal lengths {matrix[0]:g} and '
                           f'{matrix[row + 1]:g}: the camera is not calibrated')
    if not rectified and any(value != 0 for value in info.d):
        LOGGER.warning("camera_info has distortion (D = %s): '%s' looks like images that are not "
                       'rectified; the node expects rectified ones', [
                           round(float(value), 4) for value in info.d], image_topic)
    return Intrinsics(*size, fx=float(matrix[0]), fy=float(matrix[row + 1]),
                      cx=float(matrix[2]), cy=float(matrix[row + 2]))
