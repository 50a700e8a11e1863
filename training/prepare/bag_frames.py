# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Moments of a bag that have an image, its depth and, where asked for, its label."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import logging

from emu_perception.cameras.bag_images import decode_image, frame_id_of, note, whole_info
from emu_perception.cameras.depth_decoding import decode_depth, decode_label
from emu_perception.cameras.image_decoding import DamagedImage
from emu_perception.cameras.info_history import InfoHistory
from emu_perception.cameras.one_camera import OneCamera
from emu_perception.cameras.topics import other_frame, quoted_frame
from emu_perception.errors import InputError
from emu_perception.recordings.reader import Bag, Record, RecordingError
import numpy as np

from ..data.dataset_folder import DatasetError
from .stamps import match_stamps, smallest_difference_ns

LOGGER = logging.getLogger('training')
_DECODERS: dict[str, Callable[[Record], np.ndarray]] = {
    'image': decode_image, 'depth': lambda record: decode_depth(record.decode()),
    'label': lambda record: decode_label(record.decode())}


@dataclass(frozen=True)
class BagFrame:
    """
    What a bag holds of one moment, all of one size.

    :ivar stem: the image's header stamp in nanoseconds, 19 digits.
    :ivar image: uint8 [H, W, 3], rgb.
    :ivar depth: float32 [H, W], metres.
    :ivar label: class indices [H, W], or None without a label topic.
    """

    stem: str
    image: np.ndarray
    depth: np.ndarray
    label: np.ndarray | None


def find_moments(bag: Bag, topics: dict[str, str], tolerance_ns: int) -> list[dict[str, int]]:
    """
    Match every topic with the image topic.

    :param topics: of kind ('image', 'depth', perhaps 'label') to topic.
    :return: in order of time, of kind to header stamp (ns), for the images that have every kind.
    :raises DatasetError: if there is none, or all messages of a topic have one stamp.
    """
    stamps = {topic: _each_once(bag, topic, values)
              for topic, values in bag.stamps(list(topics.values())).items()}
    images = stamps[topics['image']]
    moments = [{'image': int(stamp)} for stamp in images]
    for kind, topic in topics.items():
        if kind == 'image':
            continue
        found = match_stamps(images, stamps[topic], tolerance_ns)
        if not found:
            least = smallest_difference_ns(images, stamps[topic]) / 1e9
            raise DatasetError(
                f"{bag.path}: no message of '{topic}' within {tolerance_ns / 1e9:g} s of one of "
                f"'{topics['image']}': the smallest difference is {least:.6f} s "
                '(--max-stamp-difference)')
        moments = [{**moment, kind: found[moment['image']]} for moment in moments
                   if moment['image'] in found]
    if not moments:
        raise DatasetError(f'{bag.path}: no image has both depth and label')
    LOGGER.info('%d of %d images have %s', len(moments), len(images),
                ' and '.join(kind for kind in topics if kind != 'image'))
    return moments


def _each_once(bag: Bag, topic: str, stamps: np.ndarray) -> np.ndarray:
    """Return the stamps of a topic [N] each once; what is lost with the others is said."""
    if not len(stamps):
        raise DatasetError(f"{bag.path}: topic '{topic}' has no message")
    once = np.unique(stamps)
    if 1 == len(once) < len(stamps):
        raise DatasetError(f"{bag.path}: all {len(stamps)} messages of '{topic}' have the header "
                           f'stamp {once[0] / 1e9:.6f} s, by which frames are paired and named: '
                           'record them from a driver that stamps them')
    if len(once) < len(stamps):
        LOGGER.warning("%s: %d of %d messages of '%s' have the header stamp of one before: they "
                       'are left out', bag.path, len(stamps) - len(once), len(stamps), topic)
    return once


class _Infos:
    """Looks whether the camera_infos of a recording are of two cameras; see ``InfoHistory``."""

    def __init__(self, bag: Bag, topic: str | None) -> None:
        self._bag, self._topic = bag, topic
        self._infos = InfoHistory()
        self._image: Record | None = None

    def see(self, record: Record, *, is_info: bool) -> None:
        """Take an image or a camera_info, in their order; raises DatasetError of two cameras."""
        waiting = self._image  # Its camera_info may come right after it.
        if waiting is not None and not (is_info and record.stamp_ns == waiting.stamp_ns):
            at_s = waiting.recorded_ns / 1e9
            if doubt := self._infos.doubt(waiting.stamp_ns, at_s):
                raise DatasetError(f"{self._bag.path}: camera_info on '{self._topic}' {doubt} "
                                   f'(at {at_s:.3f} s): of this recording use a part that is of '
                                   'one, or another --camera-info-topic')
            self._image = None
        if not is_info:
            self._image = record
        elif (info := whole_info(record)) is not None:
            self._infos.add(record.stamp_ns, info, record.recorded_ns / 1e9)


def read_frames(bag: Bag, topics: dict[str, str], moments: list[dict[str, int]],
                info_topic: str | None = None) -> Iterator[BagFrame]:
    """
    Yield the frames of these moments; one with a damaged message is left out with a warning.

    :param info_topic: of the camera; None = there is none.
    :raises DatasetError: if an encoding does not fit its topic, sizes differ, or a topic seems to
        be of two cameras: a data set has the focal length of one.
    """
    infos = _Infos(bag, info_topic)
    ones = {topic: OneCamera() for topic in topics.values()}
    kinds = {topic: kind for kind, topic in topics.items()}
    index_of = {(topics[kind], stamp): index for index, moment in enumerate(moments)
                for kind, stamp in moment.items()}
    waiting: dict[int, dict[str, np.ndarray]] = {}
    damaged = set()
    frames: dict[str, str] = {}
    for record in bag.records([*kinds, *([info_topic] if info_topic else [])]):
        if record.topic in (info_topic, topics['image']):
            infos.see(record, is_info=record.topic == info_topic)
        if record.topic == info_topic:
            continue
        topic, stamp, kind = record.topic, record.stamp_ns, kinds[record.topic]
        note(ones[topic], record)
        if doubt := ones[topic].doubt(record.recorded_ns / 1e9):
            raise DatasetError(f"{bag.path}: topic '{topic}' at {record.recorded_ns / 1e9:.3f} s: "
                               f'{doubt}; of this recording use a part that is of one')
        index = index_of.pop((topic, stamp), None)  # Of two with one stamp the first counts.
        if index is None or index in damaged:
            continue
        try:
            pixels = _DECODERS[kind](record)
        except DamagedImage as error:
            LOGGER.warning("'%s' at %.6f s left out: %s", topic, stamp / 1e9, error)
            damaged.add(index)
            waiting.pop(index, None)
            continue
        except RecordingError:
            raise
        except InputError as error:
            hint = '; depth goes with --depth-topic' if kind == 'image' else ''
            raise DatasetError(f"{bag.path}: topic '{topic}' at {stamp / 1e9:.6f} s: {error}"
                               f'{hint}') from error
        if kind not in frames:
            frames[kind] = frame_id_of(record)
            _compare_frames(bag, topics, frames, kind)
        maps = waiting.setdefault(index, {})
        maps[kind] = pixels
        if len(maps) == len(topics):
            _check_sizes(bag, topics, waiting.pop(index))
            yield BagFrame(f"{moments[index]['image']:019d}", maps['image'], maps['depth'],
                           maps.get('label'))


def _compare_frames(bag: Bag, topics: dict[str, str], frames: dict[str, str], new: str) -> None:
    """Say what is of another frame than the image, once the frames of both are known."""
    for kind in frames if new == 'image' else (new,):
        if 'image' in frames and other_frame(frames[kind], frames['image']):
            LOGGER.warning("%s: topic '%s' is of frame %s, '%s' of %s: is it registered to the "
                           'image, or only of its size?', bag.path, topics[kind],
                           quoted_frame(frames[kind]), topics['image'],
                           quoted_frame(frames['image']))


def _check_sizes(bag: Bag, topics: dict[str, str], maps: dict[str, np.ndarray]) -> None:
    height, width = maps['image'].shape[:2]
    for kind, pixels in maps.items():
        if pixels.shape[:2] != (height, width):
            raise DatasetError(
                f"{bag.path}: topic '{topics[kind]}' is {pixels.shape[1]}x{pixels.shape[0]}, "
                f"'{topics['image']}' is {width}x{height}: {kind} must be registered to the "
                'image, pixel by pixel')
