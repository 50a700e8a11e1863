# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The intrinsics of a data set from a bag's camera_info."""

from __future__ import annotations

import logging

from emu_perception.cameras.bag_images import calibrations
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.topics import looks_rectified
from emu_perception.checkpoint import Intrinsics
from emu_perception.recordings.reader import Bag
from training.data.dataset_folder import DatasetError

LOGGER = logging.getLogger('training')


def intrinsics_of(bag: Bag, image_topic: str, info_topic: str, shape: tuple[int, ...], *,
                  needed: bool) -> Intrinsics | None:
    """
    Return the intrinsics of the images: of K, and of P for a rectified topic (image_rect*).

    :param shape: (height, width, ...) of the images.
    :param needed: whether the camera_info was asked for by its topic.
    :return: None (with a warning) where it cannot be used, though it was not asked for.
    :raises DatasetError: where it cannot be used and was asked for.
    """
    height, width = shape[:2]
    judgement = judge(next(calibrations(bag, info_topic)), width, height,
                      rectified=looks_rectified(image_topic),
                      what=f"{bag.path}: camera_info on '{info_topic}'")
    for warning in judgement.warnings:
        LOGGER.warning('%s', warning.text)
    if judgement.problem is not None:
        if needed:
            raise DatasetError(judgement.problem.text)
        LOGGER.warning('%s; dataset.yaml gets no intrinsics', judgement.problem.text)
    camera = judgement.camera
    if camera is None:
        return None
    return Intrinsics(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
