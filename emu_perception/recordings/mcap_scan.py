# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What can still be read of an MCAP file that has no end, no index or damaged parts.

The file is walked record by record (https://mcap.dev/spec), as ``mcap recover`` does. A chunk that
is cut gives what its beginning holds; one that is damaged is passed over and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
import mmap
from pathlib import Path
import struct
from typing import Any
from zlib import crc32

from emu_perception.recordings.compression import decompressed

CDR = 'cdr'
_MAGIC = b'\x89MCAP0\r\n'
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX, _STATISTICS = (
    1, 2, 3, 4, 5, 6, 7, 8, 11)
_RECORD = 9  # Bytes before a record's content: what it is, and its length.
_MESSAGE_HEADER = 22  # Bytes: channel, sequence, time of logging, time of publishing.
_CHUNKS_KEPT = 4
# Where a message lies: in which chunk (None = in the file itself), from and to which byte.
Place = tuple[int | None, int, int]


class McapScan:
    """
    The messages of one file.

    :ivar types: of topic name to message type.
    :ivar index: of each message its time (ns), topic and place, in the order of the file.
    :ivar promised: messages by topic that the file itself says it has; empty where it says none.
    :ivar problem: what is wrong with the file; '' if nothing is but its missing end.
    :raises ValueError: if it is no MCAP.
    """

    def __init__(self, path: Path) -> None:
        with path.open('rb') as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError('no MCAP')
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.types: dict[str, str] = {}
        self.index: list[tuple[int, str, Place]] = []
        self.promised: Counter[str] = Counter()
        self.problem = ''
        self._schemas: dict[int, str] = {}
        self._topics: dict[int, str] = {}
        self._counts: dict[int, int] = {}
        self._damaged_chunk = False
        self._lost = 0
        # A chunk is asked for again by its next message.
        self._chunk = lru_cache(maxsize=_CHUNKS_KEPT)(self._decompressed)
        self._walk()
        if self._lost:
            self.problem = '; '.join(filter(None, [
                self.problem, f'{self._lost} messages are in damaged chunks']))
        self.promised.update({self._topics[channel]: count
                              for channel, count in self._counts.items()
                              if channel in self._topics})

    def read(self, place: Place) -> bytes | None:
        """Return a message, None if it cannot be read after all."""
        chunk, start, end = place
        return bytes((self._data if chunk is None else self._chunk(chunk))[start:end])

    def close(self) -> None:
        """Close the file."""
        self._chunk.cache_clear()
        self._data.close()

    def _walk(self) -> None:
        later = self._chunk_offsets()
        at = len(_MAGIC)
        while at < len(self._data):
            try:
                for kind, start, end in _records(self._data, at):
                    if kind == _FOOTER:
                        return
                    self._take(kind, start, end)
                    at = end
            except struct.error:
                pass  # A length that the damage has made.
            if at == len(self._data):
                return
            self.problem = f'it is damaged or cut at byte {at} of {len(self._data)}'
            if at + _RECORD < len(self._data) and self._data[at] == _CHUNK:
                self._take_chunk(at + _RECORD, len(self._data))
            # The index at the end, where there is one, knows where it goes on.
            at = min((offset for offset in later if offset > at), default=len(self._data))

    def _take(self, kind: int, start: int, end: int, chunk: int | None = None,
              data: Any = None) -> None:
        data = self._data if data is None else data
        if kind == _MESSAGE and end - start >= _MESSAGE_HEADER:
            channel, _, time_ns = struct.unpack_from('<HIQ', data, start)
            if channel in self._topics:
                self.index.append((time_ns, self._topics[channel],
                                   (chunk, start + _MESSAGE_HEADER, end)))
        elif kind == _SCHEMA:
            (number,) = struct.unpack_from('<H', data, start)
            self._schemas.setdefault(number, _text(data, start + 2))
        elif kind == _CHANNEL:
            number, schema = struct.unpack_from('<HH', data, start)
            topic = _text(data, start + 4)
            if _text(data, start + 8 + len(topic.encode())) == CDR:
                self._topics.setdefault(number, topic)
                self.types.setdefault(topic, self._schemas.get(schema, ''))
        elif kind == _CHUNK:
            self._take_chunk(start, end)
        elif kind == _INDEX and self._damaged_chunk:
            (length,) = struct.unpack_from('<I', data, start + 2)
            self._lost += length // 16
        elif kind == _STATISTICS:
            (length,) = struct.unpack_from('<I', data, start + 42)
            for place in range(start + 46, min(end, start + 46 + length), 10):
                channel, count = struct.unpack_from('<HQ', data, place)
                self._counts[channel] = count

    def _take_chunk(self, start: int, end: int) -> None:
        """Take the messages of a chunk, as far as it can be decompressed."""
        try:
            data = self._chunk(start)
        except Exception:  # Of as many kinds as there are libraries.
            data = b''
        self._damaged_chunk = not data
        for kind, inner, inner_end in _records(data, 0):
            self._take(kind, inner, inner_end, start, data)

    def _decompressed(self, start: int) -> bytes:
        size, checksum, length = struct.unpack_from('<QII', self._data, start + 16)
        method = bytes(self._data[start + 32:start + 32 + length]).decode()
        at = start + 32 + length
        (packed,) = struct.unpack_from('<Q', self._data, at)
        content = self._data[at + 8:at + 8 + packed]
        data = decompressed(content, method)
        if len(data) == size and checksum and crc32(data) != checksum:
            raise ValueError('checksum')
        return data

    def _chunk_offsets(self) -> list[int]:
        """Return where the chunks begin by the index at the end; none where it has no end."""
        footer = len(self._data) - len(_MAGIC) - 20
        if self._data[-len(_MAGIC):] != _MAGIC or footer < len(_MAGIC):
            return []
        (summary,) = struct.unpack_from('<Q', self._data, footer)
        if not len(_MAGIC) <= summary < footer:
            return []
        # The summary itself is walked too: it has the schemas, channels and statistics.
        return [*(struct.unpack_from('<Q', self._data, start + 16)[0]
                  for kind, start, _ in _records(self._data, summary) if kind == _CHUNK_INDEX),
                summary]


def _records(data: Any, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield what each whole record is, and from and to which byte its content goes."""
    while at + _RECORD <= len(data):
        start = at + _RECORD
        end = start + int.from_bytes(data[at + 1:start], 'little')
        if end > len(data) or not data[at]:
            return
        yield data[at], start, end
        at = end


def _text(data: Any, at: int) -> str:
    (length,) = struct.unpack_from('<I', data, at)
    return bytes(data[at + 4:at + 4 + length]).decode(errors='replace')
