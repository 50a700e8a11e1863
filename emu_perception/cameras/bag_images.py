# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 bag as a camera: an image topic and the camera_info beside it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
import logging

from emu_perception.cameras.calibration import CameraInfo, from_message
from emu_perception.cameras.image_decoding import compressed_to_rgb, DamagedImage, image_to_rgb
from emu_perception.cameras.info_history import InfoHistory, UNSTAMPED
from emu_perception.cameras.one_camera import compressed_kind, kind_of, OneCamera
from emu_perception.cameras.source import InputImage
from emu_perception.cameras.topics import beside, looks_rectified
from emu_perception.errors import InputError
from emu_perception.recordings.messages import Header
from emu_perception.recordings.reader import Bag, Record, RecordingError
from emu_perception.recordings.typestore import CAMERA_INFO, COMPRESSED, IMAGE
import numpy as np

LOGGER = logging.getLogger('emu_perception')
_RATE_SAMPLES = 200


class BagImages:
    """
    The images of one topic of an open bag, which whoever opened it closes.

    :raises RecordingError: if a topic is not there or the image topic is not clear.
    """

    live = False
    stamped = True

    def __init__(self, bag: Bag, image_topic: str | None, info_topic: str | None) -> None:
        self._bag = bag
        if image_topic is not None:
            bag.check_topic(image_topic, (IMAGE, COMPRESSED))
        self.image_topic = image_topic or find_image_topic(bag)
        self.total: int | None = bag.counts[self.image_topic]
        if not self.total:
            raise RecordingError(f"{bag.path}: topic '{self.image_topic}' has no message")
        _check_first(bag, self.image_topic)
        self.rate_hz = _rate_hz(bag, self.image_topic)
        self._info_topic = found_info_topic(bag, self.image_topic, info_topic)
        self._missing = '' if self._info_topic else _missing(self.image_topic)
        self._damaged: set[int] = set()  # Stamps of camera_infos.
        self._repeated_said = False
        whole = ((record.stamp_ns, self._info_of(record))
                 for record in _info_records(bag, self._info_topic))
        self._first_info = next(((stamp, info) for stamp, info in whole if info), None)
        if self._first_info is not None and not self._first_info[0]:
            LOGGER.warning('%s: %s', bag.path, UNSTAMPED.about(
                f"camera_info on '{self._info_topic}'").text)

    def images(self) -> Iterator[InputImage]:
        """
        Yield the images in order, each with the camera_info of its stamp, else the latest.

        One whose stamp, other than 0, is that of the image before is left out, which is said: it
        is that image again, and the node drops it. One that may be of another camera than those
        before cannot be read, as the node refuses it.
        """
        waiting: Record | None = None
        doubt, one = '', OneCamera()
        before_ns = 0
        infos = InfoHistory()
        if self._first_info is not None:
            infos.add(*self._first_info)
        topics = [self.image_topic, *([self._info_topic] if self._info_topic else [])]
        seen = 0
        for record in self._bag.records(topics):
            if record.topic == self.image_topic:
                seen += 1
                note(one, record)
                if record.stamp_ns and record.stamp_ns == before_ns:
                    self._say_repeated(record.stamp_ns)
                    continue
                before_ns = record.stamp_ns or before_ns
                if waiting is not None:
                    yield self._image(waiting, infos, doubt)
                doubt = one.doubt(record.recorded_ns / 1e9)
                waiting = record  # Its camera_info may come right after it.
                continue
            if waiting is not None and not (record.stamp_ns
                                            and record.stamp_ns == waiting.stamp_ns):
                yield self._image(waiting, infos, doubt)
                waiting = None
            info = self._info_of(record)
            if info is not None:
                infos.add(record.stamp_ns, info, record.recorded_ns / 1e9)
        if waiting is not None:
            yield self._image(waiting, infos, doubt)
        self._bag.check_seen(self.image_topic, seen)

    @property
    def loss(self) -> str:
        """Return what of the bag cannot be read, as far as it was noticed."""
        return self._bag.loss

    def close(self) -> None:
        """Do nothing: the bag is not ours."""

    def _say_repeated(self, stamp_ns: int) -> None:
        if not self._repeated_said:
            self._repeated_said = True
            LOGGER.warning("%s: an image on '%s' has the stamp of the one before, %d.%09d: such "
                           'images are left out, as the node drops them', self._bag.path,
                           self.image_topic, *divmod(stamp_ns, 10**9))

    def _info_of(self, record: Record) -> CameraInfo | None:
        """Return what a camera_info says; None, said once, where it is damaged."""
        info = whole_info(record)
        if info is None:
            if not self._damaged:
                LOGGER.warning("%s: a camera_info on '%s' is damaged: an image of its stamp has "
                               'no calibration', self._bag.path, self._info_topic)
            self._damaged.add(record.stamp_ns)
        return info

    def _image(self, record: Record, infos: InfoHistory, two: str) -> InputImage:
        # A stamp of 0 is one that the driver did not set.
        stamp_ns = record.stamp_ns or record.recorded_ns
        damaged = record.stamp_ns and record.stamp_ns in self._damaged
        doubt = 'is damaged' if damaged else infos.doubt(record.stamp_ns,
                                                         record.recorded_ns / 1e9)
        return InputImage(f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}',
                          Header(stamp_ns, frame_id_of(record)),
                          partial(_refused, f"topic '{self.image_topic}': {two}") if two
                          else partial(decode_image, record),
                          None if doubt else infos.for_image(record.stamp_ns),
                          f"camera_info on '{self._info_topic}' {doubt}" if doubt else '',
                          info_missing=self._missing,
                          rectified=looks_rectified(self.image_topic),
                          topic=self.image_topic, record=record)


def decode_image(record: Record) -> np.ndarray:
    """
    Return an image message as rgb8.

    :raises InputError: if it cannot be used.
    """
    return (compressed_to_rgb if record.kind == COMPRESSED else image_to_rgb)(record.decode())


def _refused(why: str) -> np.ndarray:
    raise InputError(why)


def find_image_topic(bag: Bag) -> str:
    """
    Return the one topic of colour or mono images; raw is taken before compressed.

    :raises RecordingError: if there is none, or more than one.
    """
    found = [topic for topic, kind in sorted(bag.topics.items())
             if kind in (IMAGE, COMPRESSED) and _is_camera(bag, topic)]
    found = [topic for topic in found if topic.removesuffix('/compressed') == topic
             or topic.removesuffix('/compressed') not in found]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RecordingError(f'{bag.path}: has no topic with colour or mono images ({IMAGE} or '
                             f'{COMPRESSED}); it has {bag.listing()}')
    raise RecordingError(f'{bag.path}: has {len(found)} image topics: choose one with '
                         f'--image-topic: {", ".join(found)}')


def find_info_topic(bag: Bag, image_topic: str, info_topic: str | None) -> str | None:
    """Return :func:`found_info_topic`, with a warning where that is None."""
    topic = found_info_topic(bag, image_topic, info_topic)
    if topic is None:
        LOGGER.warning('%s: %s: depth cannot be corrected for a camera of another focal length',
                       bag.path, _missing(image_topic))
    return topic


def found_info_topic(bag: Bag, image_topic: str, info_topic: str | None) -> str | None:
    """
    Return the topic of the camera_info, or None where the bag has none.

    :param info_topic: None looks beside the image topic, as image_transport lays them out.
    :raises RecordingError: if the topic was asked for and is not there, or is empty.
    """
    topic = info_topic or beside(image_topic)
    if info_topic is None and (bag.topics.get(topic) != CAMERA_INFO or not bag.counts[topic]):
        return None
    bag.check_topic(topic, (CAMERA_INFO,))
    if not bag.counts[topic]:
        raise RecordingError(f"{bag.path}: topic '{topic}' has no message")
    return topic


def _missing(image_topic: str) -> str:
    return f"no camera_info at '{beside(image_topic)}' (--camera-info-topic)"


def calibrations(bag: Bag, info_topic: str | None) -> Iterator[tuple[int, CameraInfo]]:
    """
    Yield what a topic of camera_info says, in the order of recording; without the damaged.

    Before each is its header's stamp, nanoseconds.
    """
    for record in _info_records(bag, info_topic):
        info = whole_info(record)
        if info is not None:
            yield record.stamp_ns, info


def whole_info(record: Record) -> CameraInfo | None:
    """Return what a camera_info says; None where it is damaged."""
    try:
        return from_message(record.decode())
    except RecordingError:
        return None


def _info_records(bag: Bag, info_topic: str | None) -> Iterator[Record]:
    return bag.records([info_topic] if info_topic else [])


def _check_first(bag: Bag, topic: str) -> None:
    try:
        for record in islice(bag.records([topic]), 1):
            decode_image(record)
    except DamagedImage:
        pass  # Others may be whole.
    except InputError as error:
        raise RecordingError(f"{bag.path}: topic '{topic}': {error}; the bag has "
                             f'{bag.listing()}') from error


def _is_camera(bag: Bag, topic: str) -> bool:
    """Tell whether the first message is an image, even a damaged one, and not depth."""
    try:
        _check_first(bag, topic)
    except RecordingError:
        return False
    return bag.counts[topic] > 0


def _rate_hz(bag: Bag, topic: str) -> float:
    stamps = np.array([record.stamp_ns or record.recorded_ns
                       for record in islice(bag.records([topic]), _RATE_SAMPLES)], np.int64)
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return float(np.clip(1e9 / np.median(steps), 0.1, 1000.0)) if len(steps) else 10.0


def frame_id_of(record: Record) -> str:
    """Return the frame_id of a message's header, without decoding it."""
    return _string(record, 12)[0]


def note(one: OneCamera, record: Record) -> None:
    """Tell whose an image's message is, without decoding it."""
    frame_id, end = _string(record, 12)
    at = _aligned(end)
    if record.kind == IMAGE:
        kind = kind_of(_number(record, at + 4), _number(record, at), _string(record, at + 8)[0])
    else:  # A format, and how many bytes there are.
        kind = compressed_kind(memoryview(record.data)[_aligned(_string(record, at)[1]) + 4:])
    one.note(record.recorded_ns / 1e9, frame_id, kind)


def _string(record: Record, at: int) -> tuple[str, int]:
    """Return the CDR string at a place, and where it ends: length with its zero, the bytes."""
    end = at + 4 + _number(record, at)
    return record.data[at + 4:max(at + 4, end - 1)].decode(errors='replace'), end


def _aligned(at: int) -> int:
    return at + -at % 4  # The encapsulation before it has four bytes.


def _number(record: Record, at: int) -> int:
    order = 'little' if record.data[1:2] and record.data[1] & 1 else 'big'
    return int.from_bytes(record.data[at:at + 4], order)  # type: ignore[arg-type]
