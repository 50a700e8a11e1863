# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Reads topics of a ROS 2 bag (sqlite3 or MCAP), every fault of the bag as one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.typesys import get_typestore, Stores

from training.data.dataset_folder import DatasetError


class Bag:
    """
    An open bag.

    :ivar topics: of topic name to message type.
    """

    def __init__(self, path: Path, reader: AnyReader) -> None:
        self.path, self._reader = path, reader
        self.topics = {name: str(info.msgtype) for name, info in reader.topics.items()}

    def check_topic(self, topic: str, types: tuple[str, ...]) -> None:
        """
        Check that a topic is there and of one of the types.

        :raises DatasetError: naming what there is.
        """
        if topic not in self.topics:
            counts = {name: info.msgcount for name, info in self._reader.topics.items()}
            there = ', '.join(f'{name} ({kind}, {counts[name]})'
                              for name, kind in sorted(self.topics.items()))
            raise DatasetError(f"{self.path}: has no topic '{topic}'; it has {there or 'none'}")
        if self.topics[topic] not in types:
            raise DatasetError(f"{self.path}: topic '{topic}' is {self.topics[topic]}, "
                               f'{" or ".join(types)} is needed')

    def stamps(self, topics: list[str]) -> dict[str, np.ndarray]:
        """Return each topic's header stamps in nanoseconds, int64, sorted, each once."""
        found: dict[str, list[int]] = {topic: [] for topic in topics}
        for topic, stamp, _ in self.messages(topics):
            found[topic].append(stamp)
        return {topic: np.unique(np.array(values, np.int64)) for topic, values in found.items()}

    def messages(self, topics: list[str]) -> Iterator[tuple[str, int, Any]]:
        """Yield topic, header stamp (ns) and message, in the order of recording."""
        connections = [c for c in self._reader.connections if c.topic in topics]
        # Without any connection the reader would yield everything.
        messages = self._reader.messages(connections) if connections else iter(())
        while True:
            with one_line(self.path):
                item = next(messages, None)
                if item is None:
                    return
                connection, _, data = item
                message: Any = self._reader.deserialize(data, connection.msgtype)
                stamp = message.header.stamp
            yield connection.topic, stamp.sec * 10**9 + stamp.nanosec, message


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """
    Open a bag: a folder with metadata.yaml, or one .mcap or .db3 file.

    :raises DatasetError: if it cannot be read.
    """
    if not path.exists():
        raise DatasetError(f'{path}: no such bag')
    if path.is_dir() and not (path / 'metadata.yaml').exists():
        raise DatasetError(f'{path}: has no metadata.yaml; give the .mcap or .db3 file in it, or '
                           'run `ros2 bag reindex` first')
    if path.suffix == '.bag':
        raise DatasetError(f'{path}: is a ROS 1 bag; run `rosbags-convert` of rosbags first')
    with one_line(path):
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    try:
        yield Bag(path, reader)
    finally:
        reader.close()


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Turn whatever the bag library raises into a DatasetError."""
    try:
        yield
    # A damaged bag ends in errors of rosbags, struct, SQLite, lz4 or zstd.
    except Exception as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise DatasetError(f'{path}: cannot be read as a ROS 2 bag ({reason})') from error
