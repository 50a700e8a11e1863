# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What can still be read of a .db3 file that was not closed, or is cut or damaged.

Rows are asked for one by one where SQLite cannot go through all of them: those whose pages are
there come. The write-ahead log of a recorder that was killed is read with its file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
import sqlite3
from urllib.parse import quote

from emu_perception.recordings.mcap_scan import CDR

_MISSES = 1000  # So many rows in a row that cannot be read are the end.


class SqliteScan:
    """
    The messages of one file.

    :ivar types: of topic name to message type.
    :ivar index: of each message its time (ns), topic and row, in the order of the rows.
    :ivar promised: messages by topic that the file itself says it has: it says none.
    :ivar problem: what is wrong with the file; '' if nothing is.
    :raises ValueError: if not even its topics can be read.
    """

    def __init__(self, path: Path) -> None:
        self.promised: Counter[str] = Counter()
        self._file, self.problem = _opened(path)
        found = self._file.execute(
            'SELECT id, name, type FROM topics WHERE serialization_format = ?', (CDR,)).fetchall()
        self.types = {name: kind for _, name, kind in found}
        topics = {number: name for number, name, _ in found}
        self.index: list[tuple[int, str, int]] = [
            (time_ns, topics[topic], row) for row, topic, time_ns in self._rows()
            if topic in topics]

    def read(self, row: int) -> bytes | None:
        """Return a message, None if it cannot be read after all: its row may be whole alone."""
        try:
            found = self._file.execute('SELECT data FROM messages WHERE id = ?', (row,)).fetchone()
        except sqlite3.Error:
            return None
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rows(self) -> list[tuple[int, int, int]]:
        """Return id, topic and time of each row that can be read."""
        columns = 'SELECT id, topic_id, timestamp FROM messages'
        rows: list[tuple[int, int, int]] = []
        try:
            for row in self._file.execute(f'{columns} NOT INDEXED ORDER BY id'):
                rows.append(row)
            return rows
        except sqlite3.Error as error:
            self.problem = str(error)
        last = self._one('SELECT max(id) FROM messages')
        number, misses = (rows[-1][0] if rows else 0) + 1, 0
        while misses < _MISSES if last is None else number <= last[0]:
            found = self._one(f'{columns} WHERE id = {number}')
            misses = 0 if found else misses + 1
            if found is not None:
                rows.append((found[0], found[1], found[2]))
            number += 1
        return rows

    def _one(self, query: str) -> tuple[int, ...] | None:
        try:
            found = self._file.execute(query).fetchone()
        except sqlite3.Error:
            return None
        return None if found is None or found[0] is None else tuple(found)


def is_unfinished(path: Path) -> bool:
    """Tell whether a recorder has left a part of a .db3 file beside it."""
    return any(beside.is_file() and beside.stat().st_size for beside in (
        path.with_name(f'{path.name}{suffix}') for suffix in ('-wal', '-journal')))


def _opened(path: Path) -> tuple[sqlite3.Connection, str]:
    """Open a file with its log, and without it where that cannot be read as it lies there."""
    problem = ''
    for how in ('mode=ro', 'mode=ro&immutable=1'):
        file = sqlite3.connect(f'file:{quote(str(path))}?{how}', uri=True)
        try:
            # Else SQLite refuses all of a file that has fewer pages than it says.
            file.execute('PRAGMA writable_schema = ON')
            file.execute('SELECT id FROM topics').fetchall()
            return file, f'its log cannot be read where it lies ({problem})' if problem else ''
        except sqlite3.Error as error:
            problem = str(error)
            file.close()
    raise ValueError(problem)
