# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A robot's own recording, a ROS 2 bag (sqlite3 or MCAP), as a data set folder."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from emu_perception.cameras.bag_images import find_info_topic
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.topics import ALWAYS, AUTO
from emu_perception.checkpoint import Intrinsics
from emu_perception.commands.output_folder import check_apart
from emu_perception.dataset_fields import checked_class_names
from emu_perception.errors import InputError
from emu_perception.recordings.reader import open_bag
from emu_perception.recordings.typestore import COMPRESSED, IMAGE
import numpy as np
from rich.progress import track

from ..data.dataset_folder import DatasetError, IGNORE
from .bag_camera import camera_of, seen_by
from .bag_filled import FilledDepth
from .bag_frames import find_moments, read_frames
from .folder_writer import (
    encode_metres,
    FolderWriter,
    metric_encoding,
)

LOGGER = logging.getLogger('training')
MOST_APART_S = 3600.0


def prepare_bag(path: Path, out: Path, *, image_topic: str, depth_topic: str,
                label_topic: str | None = None, class_names: tuple[str, ...] = (),
                camera_info_topic: str | None = None, rectify: str = AUTO,
                filled: FilledDepth | None = None, every: int = 1,
                max_stamp_difference_s: float = 0.02, val_share: float = 0.1,
                depth_range_m: tuple[float, float] = (0.1, 10.0),
                image_format: str = 'png', force: bool = False,
                progress: bool = True) -> None:
    """
    Write the data set folder.

    :param class_names: what the label topic's indices mean; 255 is unlabelled.
    :param camera_info_topic: None looks beside the image topic.
    :param rectify: one of ``RECTIFY``.
    :param filled: fills the holes of the depth, but in val.txt; None = the depth is the truth.
    :param every: keep the first of so many matched frames.
    :param max_stamp_difference_s: the furthest that two stamps of one frame lie apart.
    :param val_share: of the frames, from the end; 0 writes no val.txt.
    :raises EmuError: if the bag or an option cannot be used.
    """
    if every < 1:
        raise InputError(f'--every is {every}: give 1 or more')
    if not 0 <= val_share < 1:
        raise InputError(f'--val-share is {val_share:g}: give a share from 0 up to below 1')
    if not 0 <= max_stamp_difference_s < MOST_APART_S:
        raise InputError(f'--max-stamp-difference is {max_stamp_difference_s:g}: give seconds, 0 '
                         f'or more, below {MOST_APART_S:g}')
    if bool(label_topic) != bool(class_names):
        raise InputError(f'--label-topic is {label_topic or "not given"} and --class-names are '
                         f'{", ".join(class_names) or "not given"}: they go together')
    try:  # By the rules of what is written at the end, after all frames.
        class_names = checked_class_names(class_names)
    except ValueError as error:
        raise InputError(f'--class-names: {error}') from error
    topics = {'image': image_topic, 'depth': depth_topic}
    if label_topic:
        topics['label'] = label_topic
    if len(set(topics.values())) < len(topics):
        raise InputError(f'{", ".join(f"--{kind}-topic" for kind in topics)} are '
                         f'{", ".join(topics.values())}: each must be another one')
    encoding = metric_encoding(*depth_range_m)
    check_apart(path, out)
    writer = FolderWriter(out, image_format=image_format, force=force)
    stems: list[str] = []
    without_depth = 0
    camera: Camera | None = None
    with open_bag(path) as bag:
        for topic in topics.values():
            bag.check_topic(topic, (IMAGE, COMPRESSED))
        info_topic = find_info_topic(bag, image_topic, camera_info_topic)
        if info_topic is None and rectify == ALWAYS:
            raise DatasetError(f"{path}: --rectify always, but no camera_info beside "
                               f"'{image_topic}' says how: see --camera-info-topic")
        moments = find_moments(bag, topics, round(max_stamp_difference_s * 1e9))[::every]
        val = _val_count(len(moments), val_share)
        kept = {f"{moment['image']:019d}" for moment in moments[len(moments) - val:]}
        for frame in track(read_frames(bag, topics, moments, info_topic), f'{out}',
                           total=len(moments), disable=not progress):
            if not stems and info_topic is not None:
                camera = camera_of(
                    bag, image_topic, info_topic, frame.image.shape, rectify=rectify,
                    needed=camera_info_topic is not None or rectify == ALWAYS,
                    stamps={moment['image'] for moment in moments})
            frame = seen_by(camera, frame, topics)
            if filled is not None and frame.stem not in kept:
                if camera is None:
                    raise DatasetError(f'{path}: --depth-as hint needs a camera_info: without a '
                                       'focal length a network has no metres to fill holes with')
                frame = filled.fill(frame, camera)
            writer.image(frame.stem, frame.image)
            stored = encode_metres(frame.depth, encoding)
            without_depth += not stored.any()
            writer.depth(frame.stem, stored)
            if frame.label is not None:
                writer.label(frame.stem, _class_indices(frame.label, class_names, label_topic))
            stems.append(frame.stem)
    if not stems:
        raise DatasetError(f'{path}: none of {len(moments)} frames could be decoded')
    if without_depth:
        text = (f"{path}: {without_depth} of {len(stems)} frames of '{depth_topic}' have no depth "
                f'from {depth_range_m[0]:g} to {depth_range_m[1]:g} m: see --min-depth and '
                '--max-depth, or whether that is its topic')
        if without_depth == len(stems):
            raise DatasetError(text)
        LOGGER.warning('%s', text)
    stems.sort()
    first_val = len(stems) - _val_count(len(stems), val_share)
    if filled is not None:  # However many frames were damaged.
        first_val = next((i for i, stem in enumerate(stems) if stem in kept), len(stems))
        if val_share and first_val in (0, len(stems)):
            raise DatasetError(f'{path}: of its frames none before or none from the last '
                               f'{val_share:g} on could be decoded: give another --val-share')
    intrinsics = None if camera is None else Intrinsics(
        camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy)
    writer.finish({'train': stems[:first_val], 'val': stems[first_val:]}, name=path.stem,
                  classes=class_names, depth=encoding, intrinsics=intrinsics,
                  source=f'{path.name}: {", ".join(topics.values())}; '
                         f'{"rectified; " if camera and camera.rectification else ""}'
                         f'{_about(filled)}'
                         'val is the end of the recording')
    if bag.loss:
        raise DatasetError(f'{bag.loss}; {out} holds what could be read')


def _val_count(count: int, share: float) -> int:
    """Return how many of some frames, the last, are validated on; at least one is trained on."""
    return min(count - 1, max(1, round(share * count))) if share else 0


def _about(filled: FilledDepth | None) -> str:
    return '' if filled is None else (f'holes of the depth but in val filled by {filled.name}, '
                                      f'{100 * filled.share:.0f} % of the pixels; ')


def _class_indices(label: np.ndarray, class_names: tuple[str, ...], topic: str | None
                   ) -> np.ndarray:
    wrong = label[(label >= len(class_names)) & (label != IGNORE)]
    if len(wrong):
        raise DatasetError(f"topic '{topic}' holds class {int(wrong[0])}, --class-names has "
                           f'{len(class_names)} (from 0; {IGNORE} is unlabelled)')
    return label.astype(np.uint8)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if options.model is not None and options.depth_as != 'hint':
        raise InputError('--model fills holes, which --depth-as hint asks for')
    filled = FilledDepth(options.model) if options.depth_as == 'hint' else None
    prepare_bag(options.bag, options.out, image_topic=options.image_topic,
                depth_topic=options.depth_topic, label_topic=options.label_topic,
                class_names=tuple(options.class_names),
                camera_info_topic=options.camera_info_topic, rectify=options.rectify,
                filled=filled, every=options.every,
                max_stamp_difference_s=options.max_stamp_difference,
                val_share=options.val_share, depth_range_m=(options.min_depth, options.max_depth),
                image_format=options.image_format, force=options.force,
                progress=not options.no_progress)
    return 0
