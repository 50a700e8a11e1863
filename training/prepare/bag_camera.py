# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The camera of a data set from a bag's camera_info, and the bag's frames as it sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
import logging

from emu_perception.cameras.bag_images import calibrations
from emu_perception.cameras.calibration import CameraInfo
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.judgement import judge
from emu_perception.cameras.rectified_depth import depth_in_view, labels_in_view
from emu_perception.cameras.topics import reading, says_rectified
from emu_perception.errors import InputError
from emu_perception.recordings.reader import Bag

from ..data.dataset_folder import DatasetError
from .bag_frames import BagFrame

LOGGER = logging.getLogger('training')
_LARGEST_ZOOM = 0.01


def camera_of(bag: Bag, image_topic: str, info_topic: str, shape: tuple[int, ...], *,
              rectify: str, needed: bool, stamps: Collection[int] = ()) -> Camera | None:
    """
    Return the camera of the images: of K, of P for a rectified topic (image_rect*), or rectified.

    Of several calibrations it is the usable one that came most often with an image, else at all:
    what has the stamp of none may be another camera's, which sends there too.

    :param shape: (height, width, ...) of the images.
    :param rectify: one of ``RECTIFY``.
    :param needed: whether one is asked for, by the topic of the camera_info or to rectify by.
    :param stamps: of the images, nanoseconds.
    :return: None (with a warning) where none can be used, though it was not asked for.
    :raises DatasetError: where none can be used and it was asked for.
    """
    height, width = shape[:2]
    counts, own = Counter[CameraInfo](), Counter[CameraInfo]()
    for stamp_ns, info in calibrations(bag, info_topic):
        counts[info] += 1
        own[info] += stamp_ns in stamps
    infos = sorted(counts, key=lambda info: (own[info], counts[info]), reverse=True)
    taken = reading(rectify, image_topic)
    judgements = [judge(info, width, height, rectified=taken.rectified, rectify=taken.rectify,
                        in_doubt=taken.in_doubt,
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
    if camera.raw_info is not None:
        LOGGER.info("%s: '%s' is rectified: its distortion (%s) is taken out of images, depth and "
                    'labels', bag.path, image_topic, camera.raw_info.distortion_model)
    unfit = [(info, judgement.problem) for info, judgement in zip(infos, judgements)
             if judgement.problem is not None]
    if unfit:
        LOGGER.warning('%s; %d of %d camera_info are unfit like this one, and left out',
                       unfit[0][1].text, sum(counts[info] for info, _ in unfit), counts.total())
    others = [judgement.camera.fx for judgement in judgements if judgement.camera]
    if max(others) > min(others) * (1 + _LARGEST_ZOOM):
        LOGGER.warning("%s: camera_info on '%s' has fx from %.1f to %.1f: a data set is of one "
                       'camera, dataset.yaml gets %.1f; cut the bag where the lens zooms',
                       bag.path, info_topic, min(others), max(others), camera.fx)
    elif camera.raw_info is not None and len({
            (used.raw_info.k, used.raw_info.d) for used in
            (judgement.camera for judgement in judgements) if used and used.raw_info}) > 1:
        LOGGER.warning("%s: camera_info on '%s' has more than one distortion: all images are "
                       'rectified by the one that came most often; cut the bag where it changes',
                       bag.path, info_topic)
    return camera


def seen_by(camera: Camera | None, frame: BagFrame, topics: dict[str, str]) -> BagFrame:
    """
    Return a frame as its camera sees it: rectified where that is done, labels by nearest values.

    :param topics: of kind to topic, as in :func:`read_frames`.
    :raises DatasetError: if depth or label are not aligned to the image that comes.
    """
    if camera is None:
        return frame
    height, width = frame.image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DatasetError(f"topic '{topics['image']}': the image at {frame.stem} is {width}x"
                           f'{height}, the camera of those before {camera.width}x{camera.height}: '
                           'a data set is of one camera; cut the bag where its size changes')
    try:
        kind = 'depth'
        depth = depth_in_view(frame.depth, camera, rectified=says_rectified(topics[kind]))
        label = frame.label
        if label is not None:
            kind = 'label'
            label = labels_in_view(label, camera, rectified=says_rectified(topics[kind]))
    except InputError as error:
        raise DatasetError(f"topic '{topics[kind]}': {error}") from error
    return BagFrame(frame.stem, camera.rectified(frame.image), depth, label)
