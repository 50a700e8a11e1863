# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Reads topics of a ROS 2 bag (sqlite3 or MCAP), every fault of the bag as one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import struct
from typing import Any

from emu_perception.errors import InputError
from emu_perception.recordings.typestore import typestore
import numpy as np


class RecordingError(InputError):
    """A recording that cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Record:
    """
    One message with a header.

    :ivar kind: its type.
    :ivar stamp_ns: of the header.
    :ivar recorded_ns: when the recorder wrote it.
    :ivar data: the message as it lies in the bag, CDR.
    """

    topic: str
    kind: str
    stamp_ns: int
    recorded_ns: int
    data: bytes
    _bag: Bag

    def decode(self) -> Any:
        """
        Return the message; its data are views.

        :raises RecordingError: if it is damaged.
        """
        return self._bag.decode(self)


class Bag:
    """
    An open bag.

    :ivar topics: of topic name to message type.
    :ivar counts: of topic name to number of messages.
    """

    def __init__(self, path: Path, reader: Any) -> None:
        self.path, self._reader = path, reader
        self.topics = {name: str(info.msgtype) for name, info in reader.topics.items()}
        self.counts = {name: int(info.msgcount) for name, info in reader.topics.items()}

    def listing(self) -> str:
        """Return all topics with type and number of messages, for people."""
        return ', '.join(f'{name} ({kind}, {self.counts[name]})'
                         for name, kind in sorted(self.topics.items())) or 'none'

    def check_topic(self, topic: str, types: tuple[str, ...]) -> None:
        """
        Check that a topic is there and of one of the types.

        :raises RecordingError: naming what there is.
        """
        if topic not in self.topics:
            raise RecordingError(f"{self.path}: has no topic '{topic}'; it has {self.listing()}")
        if self.topics[topic] not in types:
            raise RecordingError(f"{self.path}: topic '{topic}' is {self.topics[topic]}, "
                                 f'{" or ".join(types)} is needed')

    def stamps(self, topics: Sequence[str]) -> dict[str, np.ndarray]:
        """Return each topic's header stamps in nanoseconds, int64, sorted, each once."""
        found: dict[str, list[int]] = {topic: [] for topic in topics}
        for record in self.records(topics):
            found[record.topic].append(record.stamp_ns)
        return {topic: np.unique(np.array(values, np.int64)) for topic, values in found.items()}

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, header stamp (ns) and message, in the order of recording."""
        for record in self.records(topics):
            yield record.topic, record.stamp_ns, record.decode()

    def records(self, topics: Sequence[str]) -> Iterator[Record]:
        """Yield the messages of topics whose type has a header, in the order of recording."""
        for connection, recorded_ns, data in self._raw(topics):
            with one_line(self.path):
                # CDR: four bytes of encapsulation, the second of which tells the byte order; the
                # message begins with its header, and the header with its stamp.
                order = '<' if data[1] & 1 else '>'
                seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
            yield Record(connection.topic, str(connection.msgtype),
                         seconds * 10**9 + nanoseconds, recorded_ns, bytes(data), self)

    def decode(self, record: Record) -> Any:
        """
        Return the message of a record.

        :raises RecordingError: if it is damaged.
        """
        with one_line(self.path):
            return self._reader.deserialize(record.data, record.kind)

    def _raw(self, topics: Sequence[str]) -> Iterator[tuple[Any, int, Any]]:
        connections = [c for c in self._reader.connections if c.topic in topics]
        # Without any connection the reader would yield everything.
        messages = self._reader.messages(connections) if connections else iter(())
        while True:
            with one_line(self.path):
                item = next(messages, None)
            if item is None:
                return
            yield item


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """
    Open a bag: a folder with metadata.yaml, or one .mcap or .db3 file.

    :raises RecordingError: if it cannot be read.
    :raises InputError: if rosbags is not installed.
    """
    if not path.exists():
        raise RecordingError(f'{path}: no such bag')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise RecordingError(f'{path}: has no metadata.yaml; give the .mcap or .db3 file in it, '
                             'or run `ros2 bag reindex` first')
    if path.suffix == '.bag':
        raise RecordingError(f'{path}: is a ROS 1 bag; run `rosbags-convert` of rosbags first')
    store = typestore(f'reading {path}')
    from rosbags.highlevel import AnyReader
    with one_line(path):
        reader = AnyReader([path], default_typestore=store)
        reader.open()
    try:
        yield Bag(path, reader)
    finally:
        reader.close()


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn whatever the bag library raises into a RecordingError."""
    try:
        yield
    # A damaged bag ends in errors of rosbags, struct, SQLite, lz4 or zstd.
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise RecordingError(f'{path}: cannot be read as a ROS 2 bag ({reason})') from error
