# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot's own recording, a ROS 2 bag (sqlite3 or MCAP), as a data set folder.

Images and depth maps are paired by their header stamps, each with its nearest. Depth must be
registered to the image: of its size, seen from its camera (RealSense: align_depth.enable, topic
/camera/aligned_depth_to_color/image_raw). Topics are Image or CompressedImage; depth is 16UC1 (mm)
or 32FC1 (m). Stems are header stamps in nanoseconds. val.txt is the last part of the recording:
neighbouring frames are all but equal, and a random split would measure memory.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from emu_perception.cameras.bag_images import find_info_topic
from emu_perception.errors import InputError
from emu_perception.recordings.reader import open_bag
from emu_perception.recordings.typestore import COMPRESSED, IMAGE
import numpy as np
from rich.progress import track

from ..data.dataset_folder import DatasetError, IGNORE
from .bag_frames import find_moments, read_frames
from .bag_intrinsics import intrinsics_of
from .folder_writer import (
    add_output_arguments,
    encode_metres,
    FolderWriter,
    metric_encoding,
)

LOGGER = logging.getLogger('training')


def prepare_bag(path: Path, out: Path, *, image_topic: str, depth_topic: str,
                label_topic: str | None = None, class_names: tuple[str, ...] = (),
                camera_info_topic: str | None = None, every: int = 1,
                max_stamp_difference_s: float = 0.02, val_share: float = 0.1,
                depth_range_m: tuple[float, float] = (0.1, 10.0),
                image_format: str = 'png', force: bool = False,
                progress: bool = True) -> None:
    """
    Write the data set folder.

    :param class_names: what the label topic's indices mean; 255 is unlabelled.
    :param camera_info_topic: None looks beside the image topic.
    :param every: keep the first of so many matched frames.
    :param max_stamp_difference_s: the furthest that two stamps of one frame lie apart.
    :param val_share: of the frames, from the end; 0 writes no val.txt.
    :raises EmuError: if the bag or an option cannot be used.
    """
    if every < 1 or not 0 <= val_share < 1 or not max_stamp_difference_s >= 0:
        raise InputError(f'every is {every}, val share {val_share}, max stamp difference '
                         f'{max_stamp_difference_s} s: every >= 1, 0 <= share < 1 and '
                         '0 <= difference are needed')
    if bool(label_topic) != bool(class_names):
        raise InputError(f'label topic is {label_topic} and class names are {list(class_names)}: '
                         'they go together')
    topics = {'image': image_topic, 'depth': depth_topic}
    if label_topic:
        topics['label'] = label_topic
    if len(set(topics.values())) < len(topics):
        raise InputError(f'topics are {", ".join(topics.values())}: each must be another one')
    encoding = metric_encoding(*depth_range_m)
    stems: list[str] = []
    intrinsics = None
    with open_bag(path) as bag:
        for topic in topics.values():
            bag.check_topic(topic, (IMAGE, COMPRESSED))
        info_topic = find_info_topic(bag, image_topic, camera_info_topic)
        moments = find_moments(bag, topics, round(max_stamp_difference_s * 1e9))[::every]
        writer = FolderWriter(out, image_format=image_format, force=force)
        for frame in track(read_frames(bag, topics, moments), f'{out}', total=len(moments),
                           disable=not progress):
            if not stems and info_topic is not None:
                intrinsics = intrinsics_of(bag, image_topic, info_topic, frame.image.shape,
                                           needed=camera_info_topic is not None)
            writer.image(frame.stem, frame.image)
            writer.depth(frame.stem, encode_metres(frame.depth, encoding))
            if frame.label is not None:
                writer.label(frame.stem, _class_indices(frame.label, class_names, label_topic))
            stems.append(frame.stem)
    if not stems:
        raise DatasetError(f'{path}: none of {len(moments)} frames could be decoded')
    stems.sort()
    # Training keeps at least one frame, and validation gets at least one where it is asked for.
    val = min(len(stems) - 1, max(1, round(val_share * len(stems)))) if val_share else 0
    first_val = len(stems) - val
    writer.finish({'train': stems[:first_val], 'val': stems[first_val:]}, name=path.stem,
                  classes=class_names, depth=encoding, intrinsics=intrinsics,
                  source=f'{path.name}: {", ".join(topics.values())}; val is the end of the '
                         'recording')
    if bag.loss:
        raise DatasetError(f'{bag.loss}; {out} holds what could be read')


def _class_indices(label: np.ndarray, class_names: tuple[str, ...], topic: str | None
                   ) -> np.ndarray:
    wrong = label[(label >= len(class_names)) & (label != IGNORE)]
    if len(wrong):
        raise DatasetError(f"topic '{topic}' holds class {int(wrong[0])}, --class-names has "
                           f'{len(class_names)} (from 0; {IGNORE} is unlabelled)')
    return label.astype(np.uint8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='a bag folder with metadata.yaml, or one .mcap or .db3 file')
    parser.add_argument('--image-topic', required=True, metavar='TOPIC')
    parser.add_argument('--depth-topic', required=True, metavar='TOPIC',
                        help='registered to the image')
    parser.add_argument('--label-topic', metavar='TOPIC',
                        help='class indices, as simulators publish them; 255 is unlabelled')
    parser.add_argument('--class-names', nargs='+', default=(), metavar='NAME',
                        help='of the label topic, from index 0')
    parser.add_argument('--camera-info-topic', metavar='TOPIC',
                        help='default: the camera_info beside the image topic, if there is one')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='keep every N-th matched frame (default: %(default)s); neighbours '
                        'teach little')
    parser.add_argument('--max-stamp-difference', type=float, default=0.02, metavar='S',
                        help='furthest that the stamps of one frame lie apart, s '
                        '(default: %(default)s)')
    parser.add_argument('--val-share', type=float, default=0.1, metavar='SHARE',
                        help='of the frames, from the end of the recording (default: %(default)s)')
    parser.add_argument('--min-depth', type=float, default=0.1, metavar='M',
                        help='depth up to here is invalid, m (default: %(default)s)')
    parser.add_argument('--max-depth', type=float, default=10.0, metavar='M',
                        help='depth from here on is invalid, m (default: %(default)s)')
    add_output_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    prepare_bag(options.bag, options.out, image_topic=options.image_topic,
                depth_topic=options.depth_topic, label_topic=options.label_topic,
                class_names=tuple(options.class_names),
                camera_info_topic=options.camera_info_topic, every=options.every,
                max_stamp_difference_s=options.max_stamp_difference,
                val_share=options.val_share, depth_range_m=(options.min_depth, options.max_depth),
                image_format=options.image_format, force=options.force,
                progress=not options.no_progress)
    return 0
