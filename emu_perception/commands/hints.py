# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A depth camera's images beside those that ``emu_run`` reads: of the same bag, or of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from emu_perception.cameras import png_bytes
from emu_perception.cameras.bag_images import note
from emu_perception.cameras.camera import Camera
from emu_perception.cameras.depth_decoding import decode_depth, metres_of
from emu_perception.cameras.one_camera import OneCamera
from emu_perception.cameras.opening import is_bag
from emu_perception.cameras.rectified_depth import depth_in_view
from emu_perception.cameras.source import InputImage
from emu_perception.cameras.topics import says_rectified
from emu_perception.errors import InputError
from emu_perception.fusion import checked_hint, DepthHint, unaligned
from emu_perception.recordings.reader import Bag, open_bag, Record
from emu_perception.recordings.typestore import COMPRESSED, IMAGE
import numpy as np

SLOP_NS = 15_000_000  # As the node's depth_hint_slop_s: half a period of 30 images a second.
_BESIDE_NS = 2 * 10**9  # A hint is recorded within so much of its image, by whichever comes first.
_JUMP_NS = 10**9  # A stamp further off is of another run, as in the node.


class Hints(Protocol):
    """
    What a depth camera saw, by image.

    :ivar doubt: in one line why the last image's may be of two depth cameras; '' where of one.
    """

    doubt: str

    def of(self, image: InputImage, camera: Camera) -> DepthHint | None:
        """
        Return the hint of an image, as its camera sees it; None where it has none.

        To be asked in the order of the images.

        :raises InputError: if it cannot be used.
        """


class FolderHints:
    """PNGs of 16 bits, in millimetres, of the images' names."""

    doubt = ''

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, image: InputImage, camera: Camera) -> DepthHint | None:
        """Read the image's PNG; None where there is none."""
        path = self._folder / f'{Path(image.name).stem}.png'
        if not path.is_file():
            return None
        if image.apart_from_maps:
            raise InputError(image.apart_from_maps)
        stored = png_bytes.stored_values(path.read_bytes(), palette=False)
        if stored is None or stored.dtype != np.uint16:
            raise InputError(f'{path}: is no PNG of one channel and 16 bits, in millimetres')
        return _checked(metres_of(stored), camera, str(path), rectified=None)


class BagHints:
    """
    A topic of a bag, matched by stamp among what was recorded at about the time of an image.

    Stamps may jump, as where a bag is of two runs, or of a driver that was started anew: they
    neither end the reading nor have the rest of the bag read into memory.
    """

    def __init__(self, bag: Bag, topic: str) -> None:
        bag.check_topic(topic, (IMAGE, COMPRESSED))
        self._topic = topic
        self._records = bag.records([topic])
        self._ahead: list[Record] = []  # At most the one that was recorded too late so far.
        self._near: list[Record] = []
        self._one, self.doubt = OneCamera('depth image'), ''

    def of(self, image: InputImage, camera: Camera) -> DepthHint | None:
        """Return what was recorded within half a period of the image, the nearest."""
        assert image.record is not None, 'images beside a bag are of it'
        stamp, recorded_ns = image.header.stamp_ns, image.record.recorded_ns
        self._near = [one for one in self._near if _may_be_of(one, stamp, recorded_ns)]
        # Until one of a later image is there.
        while not any(stamp + SLOP_NS < _stamp(one) <= stamp + _JUMP_NS for one in self._near):
            record = self._ahead.pop() if self._ahead else next(self._records, None)
            if record is None:
                break
            if record.recorded_ns > recorded_ns + _BESIDE_NS:
                self._ahead.append(record)
                break
            note(self._one, record)
            if _may_be_of(record, stamp, recorded_ns):
                self._near.append(record)
        doubt = self._one.doubt(recorded_ns / 1e9)
        self.doubt = doubt and f"topic '{self._topic}': {doubt}"
        found = min(self._near, key=lambda record: abs(_stamp(record) - stamp), default=None)
        if found is None or abs(_stamp(found) - stamp) > SLOP_NS:
            return None
        if self.doubt:
            raise InputError(self.doubt)
        message = found.decode()
        if problem := unaligned(message.header.frame_id, image.header.frame_id):
            raise InputError(f"topic '{self._topic}': {problem}")
        return _checked(decode_depth(message), camera, f"topic '{self._topic}'",
                        rectified=says_rectified(self._topic))


@contextmanager
def open_hints(given: str | None, source: Path) -> Iterator[Hints | None]:
    """
    Open what ``--depth-hint`` names: a topic of the bag ``source``, or a folder; None is none.

    :raises InputError: if there is no such thing.
    """
    if given is None:
        yield None
    elif is_bag(source):
        with open_bag(source) as bag:
            yield BagHints(bag, given)
    elif Path(given).is_dir():
        if not any(Path(given).glob('*.png')):
            raise InputError(f'--depth-hint {given}: holds no PNG; give 16-bit PNGs of the '
                             "images' names, in millimetres")
        yield FolderHints(Path(given))
    else:
        raise InputError(f'--depth-hint is {given}: give a topic of a bag, or, beside images, the '
                         'folder of PNGs of the same names (16 bits, millimetres)')


def _checked(depth: np.ndarray, camera: Camera, what: str, *, rectified: bool | None) -> DepthHint:
    try:
        hint = checked_hint(depth, None, (camera.height, camera.width))
        return replace(hint, depth=depth_in_view(hint.depth, camera, rectified=rectified))
    except InputError as error:
        raise InputError(f'{what}: {error}') from error


def _stamp(record: Record) -> int:
    return record.stamp_ns or record.recorded_ns


def _may_be_of(record: Record, stamp_ns: int, recorded_ns: int) -> bool:
    """Tell whether a hint may be of an image, or of one that is still to come."""
    gone = stamp_ns - _JUMP_NS <= _stamp(record) < stamp_ns - SLOP_NS
    return not gone and record.recorded_ns >= recorded_ns - _BESIDE_NS
