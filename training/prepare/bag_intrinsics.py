# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The intrinsics of a data set from a bag's camera_info."""

from __future__ import annotations

from collections import Counter
import logging

from emu_perception.cameras.bag_images import calibrations
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.topics import looks_rectified
from emu_perception.checkpoint import Intrinsics
from emu_perception.recordings.reader import Bag

from ..data.dataset_folder import DatasetError

LOGGER = logging.getLogger('training')
_LARGEST_ZOOM = 0.01


def intrinsics_of(bag: Bag, image_topic: str, info_topic: str, shape: tuple[int, ...], *,
                  needed: bool) -> Intrinsics | None:
    """
    Return the intrinsics of the images: of K, and of P for a rectified topic (image_rect*).

    Of several calibrations it is the usable one that came most often.

    :param shape: (height, width, ...) of the images.
    :param needed: whether the camera_info was asked for by its topic.
    :return: None (with a warning) where none can be used, though it was not asked for.
    :raises DatasetError: where none can be used and it was asked for.
    """
    height, width = shape[:2]
    infos = [info for info, _ in Counter(calibrations(bag, info_topic)).most_common()]
    judgements = [judge(info, width, height, rectified=looks_rectified(image_topic),
                        what=f"{bag.path}: camera_info on '{info_topic}'") for info in infos]
    used = next((judgement for judgement in judgements if judgement.camera), judgements[0])
    for warning in used.warnings:
        LOGGER.warning('%s', warning.text)
    camera = used.camera
    if camera is None:
        text = used.problem.text if used.problem else ''
        if needed:
            raise DatasetError(text)
        LOGGER.warning('%s; dataset.yaml gets no intrinsics', text)
        return None
    others = [judgement.camera.fx for judgement in judgements if judgement.camera]
    if max(others) > min(others) * (1 + _LARGEST_ZOOM):
        LOGGER.warning("%s: camera_info on '%s' has fx from %.1f to %.1f: a data set is of one "
                       'camera, dataset.yaml gets %.1f; cut the bag where the lens zooms',
                       bag.path, info_topic, min(others), max(others), camera.fx)
    return Intrinsics(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
