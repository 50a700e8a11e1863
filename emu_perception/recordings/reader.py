# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Reads topics of a ROS 2 bag (sqlite3 or MCAP), every fault of the bag as one line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
import logging
from pathlib import Path
import struct
from typing import Any

from emu_perception.errors import InputError, text_of
from emu_perception.recordings.compression import decompressed, ZSTD_MAGIC
from emu_perception.recordings.salvage import files_of, salvage, Salvaged, TOOLS, was_left_open
from emu_perception.recordings.typestore import typestore
import numpy as np

LOGGER = logging.getLogger('emu_perception')
COMPRESSED_SUFFIXES = ('.zstd', '.zst')


class RecordingError(InputError):
    """
    A recording that cannot be used; the message names the file and what is wrong with it.

    :ivar reason: what the bag library says.
    """

    reason = ''


@dataclass(frozen=True)
class Record:
    """
    One message with a header.

    :ivar kind: its type.
    :ivar stamp_ns: of the header; 0 where that is not set, before 1970 (which no recording of
        results could have), or the message too short for one.
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
    :ivar loss: what of it cannot be read, one line with numbers and what may help; '' as long as
        nothing is missing.
    """

    def __init__(self, path: Path, reader: Any, store: Any, reason: str = '') -> None:
        """
        Describe what an open reader of rosbags has, or a Salvaged.

        :param reason: why it is salvaged, where the files themselves do not tell.
        """
        self.path, self._reader, self._store = path, reader, store
        self.loss = ''
        self._describe(reason)

    def _describe(self, reason: str) -> None:
        topics = self._reader.topics
        self.topics = {name: str(info.msgtype) for name, info in topics.items()}
        self.counts = {name: int(info.msgcount) for name, info in topics.items()}
        if isinstance(self._reader, Salvaged):
            self._say_what_is_missing(self._reader, reason)

    def _say_what_is_missing(self, salvaged: Salvaged, reason: str) -> None:
        seen, promised = sum(self.counts.values()), sum(salvaged.promised.values())
        numbers = (f'{seen} of {promised} messages can be read' if promised else
                   f'{seen} messages can be read, how many it had is not known')
        missing = bool(salvaged.problem) or seen < promised
        why = salvaged.problem or reason
        if missing:
            why = f'cannot be read as a ROS 2 bag in full ({why})'
        text = f'{self.path}: {why}: {numbers}; {_tool(self.path)}'
        LOGGER.warning('%s', text)
        if missing:
            self.loss = text

    def check_seen(self, topic: str, seen: int) -> None:
        """Take note of a topic that has ended, and perhaps before all that it promises."""
        promised = (self._reader.promised.get(topic, 0) if isinstance(self._reader, Salvaged)
                    else self.counts[topic])
        if seen < promised and not self.loss:
            self.loss = (f"{self.path}: topic '{topic}' ended after {seen} of {promised} "
                         f'messages: cut off or damaged; {_tool(self.path)}')
            LOGGER.warning('%s', self.loss)

    def listing(self, types: Collection[str] = ()) -> str:
        """Return all topics with type and number of messages, those of ``types`` first."""
        return ', '.join(f'{name} ({kind}, {self.counts[name]})' for name, kind in sorted(
            self.topics.items(), key=lambda item: (item[1] not in types, item))) or 'none'

    def check_topic(self, topic: str, types: tuple[str, ...]) -> None:
        """
        Check that a topic is there and of one of the types.

        :raises RecordingError: naming what there is.
        """
        if topic not in self.topics:
            raise RecordingError(f"{self.path}: has no topic '{topic}'; it has "
                                 f'{self.listing(types)}')
        if self.topics[topic] not in types:
            raise RecordingError(f"{self.path}: topic '{topic}' is {self.topics[topic]}, "
                                 f'{" or ".join(types)} is needed')

    def stamps(self, topics: Sequence[str]) -> dict[str, np.ndarray]:
        """Return each topic's header stamps in nanoseconds, int64, sorted, one a message."""
        found: dict[str, list[int]] = {topic: [] for topic in topics}
        for record in self.records(topics):
            found[record.topic].append(record.stamp_ns)
        for topic, values in found.items():
            if topic in self.topics:
                self.check_seen(topic, len(values))
        return {topic: np.sort(np.array(values, np.int64)) for topic, values in found.items()}

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, header stamp (ns) and message, in the order of recording."""
        for record in self.records(topics):
            yield record.topic, record.stamp_ns, record.decode()

    def records(self, topics: Sequence[str]) -> Iterator[Record]:
        """Yield the messages of topics whose type has a header, in the order of recording."""
        for connection, recorded_ns, data in self._raw(topics):
            with one_line(self.path):
                if data[:len(ZSTD_MAGIC)] == ZSTD_MAGIC:  # `ros2 bag record --compression-mode`.
                    data = decompressed(data, 'zstd')
                stamp_ns = _stamp_ns(data)
            yield Record(connection.topic, str(connection.msgtype), stamp_ns, recorded_ns,
                         bytes(data), self)

    def decode(self, record: Record) -> Any:
        """
        Return the message of a record.

        :raises RecordingError: if it is damaged.
        """
        with one_line(self.path):
            return self._reader.deserialize(record.data, record.kind)

    def _raw(self, topics: Sequence[str]) -> Iterator[tuple[Any, int, Any]]:
        seen = 0
        try:
            for item in self._items(topics):
                seen += 1
                yield item
        except RecordingError as error:
            # On the way through a recording that began well: on with what can still be read.
            salvaged = None if isinstance(self._reader, Salvaged) else salvage(
                self.path, self._store)
            if salvaged is None:
                raise
            self._reader.close()
            self._reader = salvaged
            self._describe(error.reason)
            yield from islice(self._items(topics), seen, None)

    def _items(self, topics: Sequence[str]) -> Iterator[tuple[Any, int, Any]]:
        connections = [c for c in self._reader.connections if c.topic in topics]
        # Without any connection the reader would yield everything.
        messages = self._reader.messages(connections) if connections else iter(())
        while True:
            with one_line(self.path):
                item = next(messages, None)
            if item is None:
                return
            yield item

    def close(self) -> None:
        """Close its files."""
        self._reader.close()


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """
    Open a bag: a folder with metadata.yaml, or one .mcap or .db3 file.

    One that is damaged, cut or was never closed is read as far as it can be, and what is missing
    is said in numbers (:ivar:`Bag.loss`).

    :raises RecordingError: if nothing of it can be read.
    :raises InputError: if rosbags is not installed.
    """
    if not path.exists():
        raise RecordingError(f'{path}: no such bag')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise RecordingError(f'{path}: has no metadata.yaml; give the .mcap or .db3 file in it, '
                             'or run `ros2 bag reindex` first')
    if path.suffix == '.bag':
        raise RecordingError(f'{path}: is a ROS 1 bag; run `rosbags-convert` of rosbags first')
    if path.suffix in COMPRESSED_SUFFIXES:
        raise RecordingError(f'{path}: is compressed as a file: run `unzstd {path.name}` and give '
                             f'{path.stem}, or the folder with its metadata.yaml')
    store = typestore(f'reading {path}')
    from rosbags.highlevel import AnyReader
    try:
        with one_line(path):
            if was_left_open(path):  # rosbags would pass over the part that lies beside.
                raise OSError('was not closed by its recorder')
            reader = AnyReader([path], default_typestore=store)
            reader.open()
        bag = Bag(path, reader, store)
    except RecordingError as error:
        salvaged = salvage(path, store)
        if salvaged is None:
            raise
        bag = Bag(path, salvaged, store, error.reason)
    try:
        yield bag
    finally:
        bag.close()


def _tool(path: Path) -> str:
    """Return what may repair a recording, for people, or that it looks like none."""
    if path.is_file() and path.suffix.lower() not in (*TOOLS, *COMPRESSED_SUFFIXES):
        return 'give the folder of a bag, or its .mcap or .db3 file'
    kinds = [file.suffix for file in files_of(path)]
    return next((text for suffix, text in TOOLS.items() if suffix in kinds), TOOLS['.mcap'])


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn whatever the bag library raises into a RecordingError."""
    try:
        yield
    # A damaged bag ends in errors of rosbags, struct, SQLite, lz4 or zstd.
    except Exception as error:
        reason = text_of(error)
        wrong = RecordingError(f'{path}: cannot be read as a ROS 2 bag ({reason}); {_tool(path)}')
        wrong.reason = reason
        raise wrong from error


def _stamp_ns(data: bytes | memoryview) -> int:
    """Return the stamp of a message's header; 0 where it is cut off before: for decode to say."""
    if len(data) < 12:
        return 0
    # CDR: four bytes of encapsulation, the second of which tells the byte order; the message
    # begins with its header, and the header with its stamp.
    seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
    return max(0, int(seconds * 10**9 + nanoseconds))
