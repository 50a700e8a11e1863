# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that rosbags cannot read, as far as it can be read, with its loss in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
import sqlite3
from typing import Any, Protocol

from emu_perception.recordings.mcap_scan import McapScan
from emu_perception.recordings.sqlite_scan import is_unfinished, SqliteScan

TOOLS = {'.mcap': '`mcap recover FILE -o NEW` writes what is whole of it',
         '.db3': '`sqlite3 FILE .recover | sqlite3 NEW`, then `ros2 bag reindex`, write what is '
                 'whole of it'}


class Scan(Protocol):
    """The messages of one damaged file (see :class:`McapScan`)."""

    types: dict[str, str]
    index: list[tuple[int, str, Any]]
    promised: Counter[str]
    problem: str

    def read(self, place: Any) -> bytes | None:
        """Return a message, None if it cannot be read after all."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class Topic:
    """A topic as rosbags describes it: its type and how many messages can be read."""

    topic: str
    msgtype: str
    msgcount: int


class Salvaged:
    """
    What can be read of the files of a recording, with the part of rosbags' reader that is used.

    :ivar problem: what is wrong with the files, '' where nothing is but their ends.
    :ivar promised: messages by topic that metadata or index promise; empty where there is neither.
    """

    def __init__(self, scans: list[Scan], store: Any, promised: Mapping[str, int]) -> None:
        self._scans, self._store = scans, store
        self.problem = '; '.join(scan.problem for scan in scans if scan.problem)
        self.promised = dict(promised) or dict(sum((scan.promised for scan in scans), Counter()))
        # Sorted by time; what was written first is first among equals.
        self._index = sorted(((time_ns, number, position) for number, scan in enumerate(scans)
                              for position, (time_ns, _, _) in enumerate(scan.index)))
        counts = Counter(topic for scan in scans for _, topic, _ in scan.index)
        types = {topic: kind for scan in scans for topic, kind in scan.types.items()}
        self.topics = {topic: Topic(topic, kind, counts[topic]) for topic, kind in types.items()}
        self.connections = list(self.topics.values())

    def messages(self, connections: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """Yield the messages of some topics, in the order of time."""
        wanted = {each.topic for each in connections}
        for time_ns, number, position in self._index:
            _, topic, place = self._scans[number].index[position]
            data = self._scans[number].read(place) if topic in wanted else None
            if data is not None:
                yield self.topics[topic], time_ns, data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """Return a message of a common type."""
        return self._store.deserialize_cdr(data, kind)

    def close(self) -> None:
        """Close the files."""
        for scan in self._scans:
            scan.close()


def salvage(path: Path, store: Any) -> Salvaged | None:
    """
    Read what can be read of a file, or of a folder with metadata.yaml; None if that is nothing.

    :param store: the types of its messages.
    """
    scans: list[Scan] = []
    for file in files_of(path):
        try:
            if file.suffix.lower() == '.mcap':
                scans.append(McapScan(file))
            elif file.suffix.lower() == '.db3':
                scans.append(SqliteScan(file))
        except (OSError, ValueError, sqlite3.Error):
            continue
    found = Salvaged(scans, store, promised_by(path))
    if any(topic.msgcount for topic in found.connections):
        return found
    found.close()
    return None


def was_left_open(path: Path) -> bool:
    """Tell whether a part of a recording lies beside its files, where rosbags does not look."""
    return any(map(is_unfinished, path.glob('*.db3') if path.is_dir() else [path]))


def files_of(path: Path) -> list[Path]:
    """Return the files of a recording: the path itself, or those that its metadata.yaml names."""
    if not path.is_dir():
        return [path]
    named = _information(path).get('relative_file_paths')
    return [path / PurePath(str(name)).name for name in named or ()
            if (path / PurePath(str(name)).name).is_file()]


def promised_by(path: Path) -> dict[str, int]:
    """Return the messages by topic that a metadata.yaml promises; empty where there is none."""
    folder, counts = path if path.is_dir() else path.parent, Counter[str]()
    information = _information(folder)
    if not path.is_dir() and information.get('relative_file_paths') not in (
            [path.name], [f'{folder.name}/{path.name}']):
        return {}  # It is of another recording, or of several files.
    for topic in information.get('topics_with_message_count') or ():
        try:
            counts[str(topic['topic_metadata']['name'])] += int(topic['message_count'])
        except (KeyError, TypeError, ValueError):
            continue
    return dict(counts)


def _information(folder: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:  # Then nothing is promised.
        return {}
    try:
        document = yaml.safe_load((folder / 'metadata.yaml').read_bytes())
        found = document['rosbag2_bagfile_information']
        return found if isinstance(found, dict) else {}
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}
