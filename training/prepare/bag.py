# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot's own recording, a ROS 2 bag (sqlite3 or MCAP), as a data set folder.

Images and depth maps are paired by their header stamps, each with its nearest. Depth must be
registered to the image: of its size, seen from its camera (RealSense: align_depth.enable, topic
/camera/aligned_depth_to_color/image_raw). An image whose lens distorts, by its camera_info, is
rectified as the node rectifies it (--rectify), and depth and label with it.

The depth topic is the truth, holes and all. Or a hint (--depth-as hint): in what is trained on,
its holes are filled by a network that it corrects nearby, where that is sure; what is validated on
stays the sensor's alone, or the network would be judged by itself.

Topics are Image or
CompressedImage; depth is 16UC1 (mm) or 32FC1 (m). Stems are header stamps in nanoseconds. val.txt
is the last part of the recording: neighbouring frames are all but equal, and a random split would
measure memory.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from emu_perception.cameras.bag_images import find_info_topic
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.topics import ALWAYS, AUTO, RECTIFY
from emu_perception.checkpoint import Intrinsics
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
    add_output_arguments,
    encode_metres,
    FolderWriter,
    metric_encoding,
)

LOGGER = logging.getLogger('training')


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
    camera: Camera | None = None
    with open_bag(path) as bag:
        for topic in topics.values():
            bag.check_topic(topic, (IMAGE, COMPRESSED))
        info_topic = find_info_topic(bag, image_topic, camera_info_topic)
        if info_topic is None and rectify == ALWAYS:
            raise DatasetError(f"{path}: --rectify always, but no camera_info beside "
                               f"'{image_topic}' says how: see --camera-info-topic")
        moments = find_moments(bag, topics, round(max_stamp_difference_s * 1e9))[::every]
        writer = FolderWriter(out, image_format=image_format, force=force)
        val = _val_count(len(moments), val_share)
        kept = {f"{moment['image']:019d}" for moment in moments[len(moments) - val:]}
        for frame in track(read_frames(bag, topics, moments), f'{out}', total=len(moments),
                           disable=not progress):
            if not stems and info_topic is not None:
                camera = camera_of(
                    bag, image_topic, info_topic, frame.image.shape, rectify=rectify,
                    needed=camera_info_topic is not None or rectify == ALWAYS)
            frame = seen_by(camera, frame, topics)
            if filled is not None and frame.stem not in kept:
                if camera is None:
                    raise DatasetError(f'{path}: --depth-as hint needs a camera_info: without a '
                                       'focal length a network has no metres to fill holes with')
                frame = filled.fill(frame, camera)
            writer.image(frame.stem, frame.image)
            writer.depth(frame.stem, encode_metres(frame.depth, encoding))
            if frame.label is not None:
                writer.label(frame.stem, _class_indices(frame.label, class_names, label_topic))
            stems.append(frame.stem)
    if not stems:
        raise DatasetError(f'{path}: none of {len(moments)} frames could be decoded')
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
    parser.add_argument('--rectify', choices=RECTIFY, default=AUTO,
                        help="take the lens's distortion out: auto where the image topic is not "
                        'named image_rect*, always, never (default: %(default)s)')
    parser.add_argument('--depth-as', choices=('truth', 'hint'), default='truth',
                        help='hint: fill its holes by a network (default: %(default)s)')
    parser.add_argument('--model', type=Path, metavar='FILE',
                        help='checkpoint that fills them; default: the one of the package')
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
