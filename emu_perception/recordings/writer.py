# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a ROS 2 bag (MCAP, zstd) that ``ros2 bag play``, RViz and Foxglove open."""

from __future__ import annotations

from collections import Counter
import os
from pathlib import Path
from typing import Any

from emu_perception.errors import InputError
from emu_perception.recordings.messages import MessageFactory
from emu_perception.recordings.typestore import typestore
from emu_perception.whole_files import naming


class RecordingWriter:
    """
    A bag that is being written; topics appear with their first message.

    :ivar make: makes its messages.
    :ivar count: of messages so far.
    :ivar sizes: bytes of them by topic, before they are compressed.
    :raises InputError: if rosbags is not installed or the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        """Make ``folder`` with <folder's name>.mcap in it; it must not exist."""
        self.folder = folder
        self._store = typestore(f'writing {folder}')
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
        self.make = MessageFactory(self._store)
        self.count = 0
        self.sizes: Counter[str] = Counter()
        self._connections: dict[str, Any] = {}
        # 9 has the qualities of service in a form that Humble's rosbag2 cannot read.
        self._writer = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
        # Compressed by chunk inside the file, which every reader of MCAP understands.
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except Exception as error:  # its own kind where the folder exists, else OSError
            raise InputError(f'{folder}: the recording cannot be written ({error})') from error

    def write(self, topic: str, message: Any, stamp_ns: int, *, latched: bool = False) -> None:
        """
        Write a message.

        :param stamp_ns: when it is played back, nanoseconds.
        :param latched: whether a late subscriber of the played topic gets the last one.
        """
        kind = message.__msgtype__
        self.write_raw(topic, kind, self._store.serialize_cdr(message, kind), stamp_ns,
                       latched=latched)

    def write_raw(self, topic: str, kind: str, data: bytes | memoryview, stamp_ns: int, *,
                  latched: bool = False) -> None:
        """Write a message that is CDR already."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self._store, offered_qos_profiles=[_qos(latched)])
        with naming(self.folder):
            self._writer.write(self._connections[topic], stamp_ns, data)
        self.count += 1
        self.sizes[topic] += len(data)

    def stored_bytes(self) -> int:
        """Return how large the bag is on the disk; whole once it is closed."""
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def close(self) -> None:
        """Write index and metadata.yaml, without which players refuse the file, to the disk."""
        with naming(self.folder):
            self._writer.close()
            for path in self.folder.iterdir():
                with path.open('rb') as file:
                    os.fsync(file.fileno())


def _qos(latched: bool) -> Any:
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    # The largest there is means "no limit".
    endless = QosTime(sec=9223372036, nsec=854775807)
    return Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE,
               QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE, endless,
               endless, QosLiveliness.AUTOMATIC, endless,
               avoid_ros_namespace_conventions=False)
