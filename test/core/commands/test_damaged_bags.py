# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings that were killed, cut or damaged are read as far as they go, the loss in numbers."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import sqlite3
import struct

from emu_perception.cameras.opening import is_bag, open_source
from emu_perception.recordings.mcap_scan import McapScan
from emu_perception.recordings.reader import open_bag, RecordingError
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from run_bench import emu_run, recording, STORE, table, write_bag

COUNT = 90  # Images, of 37 kB: several chunks of a megabyte.
# Of all messages, where rosbags has found the damage; of the images, where it has not.
IN_NUMBERS = re.compile(f' of ({2 * COUNT} messages can be read|{COUNT} messages: cut off)')
MCAP, SQLITE = StoragePlugin.MCAP, StoragePlugin.SQLITE3


@pytest.fixture(scope='module', params=[MCAP, SQLITE], ids=['mcap', 'sqlite3'])
def whole(request, tmp_path_factory) -> Path:
    """Return a whole bag of each kind."""
    return write_bag(tmp_path_factory.mktemp('whole') / 'bag', recording(COUNT), request.param)


@pytest.fixture
def bag(whole, tmp_path) -> Path:
    """Return a copy of it, to spoil."""
    return Path(shutil.copytree(whole, tmp_path / 'bag'))


def file_of(bag: Path) -> Path:
    """Return a bag's only file."""
    return next(path for path in bag.iterdir() if path.suffix in ('.mcap', '.db3'))


def stamps(path: Path) -> tuple[list[int], str]:
    """Return the stamps of the images that are read, and the loss."""
    with open_source(str(path), 10.0) as source:
        images = [(image.header.stamp_ns, image.read().shape) for image in source.images()]
        return [stamp for stamp, _ in images], source.loss


def test_a_whole_bag_is_read_with_no_word(whole, caplog):
    """And so is one of its files alone."""
    for path in (whole, file_of(whole)):
        found, loss = stamps(path)
        assert len(found) == COUNT and loss == '' and not caplog.records


def cut(path: Path, share: float = 2 / 3) -> None:
    """Cut a file off."""
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])


def spoil(path: Path) -> None:
    """Overwrite a tenth of a file in its middle, as a bad block of a disk does."""
    data = bytearray(path.read_bytes())
    at = len(data) // 2 // 4096 * 4096
    data[at:at + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize('damage', [cut, spoil])
def test_what_can_be_read_of_a_damaged_bag_is_and_the_loss_is_said(whole, bag, caplog, damage):
    everything, _ = stamps(whole)
    damage(file_of(bag))
    found, loss = stamps(bag)
    assert set(found) <= set(everything) and found == sorted(found)
    # Of a chunk of 28 images, or a page, all goes; nothing else does.
    assert COUNT * 2 / 3 - 30 <= len(found) < COUNT
    assert IN_NUMBERS.search(loss) and loss in caplog.text, (loss, caplog.text)
    assert 'mcap recover' in loss or 'ros2 bag reindex' in loss


def test_emu_run_does_what_it_can_and_does_not_end_with_0(bag, tmp_path, checkpoint, capsys):
    spoil(file_of(bag))
    assert emu_run(bag, tmp_path / 'out', checkpoint, '--every', '10', '--panels', 'none') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('emu_run: ') and IN_NUMBERS.search(line), line
    assert len(table(tmp_path / 'out')) > 4 and (tmp_path / 'out/summary.json').exists()


def test_fewer_messages_than_metadata_promises_are_no_success(bag):
    path = bag / 'metadata.yaml'
    text = path.read_text()
    for name in ('message_count: 90', 'message_count: 180'):
        assert name in text
    path.write_text(text.replace('message_count: 90', 'message_count: 95'))
    found, loss = stamps(bag)
    assert len(found) == COUNT and f'ended after {COUNT} of 95 messages' in loss


def record_end(path: Path, kind: int) -> int:
    """Return where the last record of a kind ends."""
    data, at, end = path.read_bytes(), 8, 0
    while at + 9 <= len(data):
        (length,) = struct.unpack_from('<Q', data, at + 1)
        at, what = at + 9 + length, data[at]
        end = at if what == kind else end
    return end


def test_an_mcap_whose_recorder_was_killed_between_two_chunks_is_whole(tmp_path, caplog):
    path = file_of(write_bag(tmp_path / 'bag', recording(COUNT)))
    data = path.read_bytes()[:record_end(path, 7)]  # Indices of messages follow the last chunk.
    (tmp_path / 'killed.mcap').write_bytes(data)
    found, loss = stamps(tmp_path / 'killed.mcap')
    assert len(found) == COUNT and loss == ''
    assert f'{2 * COUNT} messages can be read, how many it had is not known' in caplog.text
    assert 'mcap recover' in caplog.text


def test_the_beginning_of_a_cut_chunk_is_read(tmp_path):
    path = file_of(write_bag(tmp_path / 'bag', recording(20)))
    first = McapScan(path)
    (chunk,) = {place[0] for _, _, place in first.index}
    first.close()
    (tmp_path / 'cut.mcap').write_bytes(path.read_bytes()[:chunk + 500_000])
    found, loss = stamps(tmp_path / 'cut.mcap')
    assert 8 <= len(found) < 20 and 'cut' in loss


def test_no_length_in_a_damaged_mcap_ends_in_another_error(tmp_path):
    """Whatever the bytes say, it is a number of messages or one line."""
    path = file_of(write_bag(tmp_path / 'bag', recording(3)))
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for number in range(60):
        spoiled = bytearray(data)
        for at in rng.integers(8, len(data), 30):
            spoiled[at] = rng.integers(256)
        file = tmp_path / f'{number}.mcap'
        file.write_bytes(bytes(spoiled[:rng.integers(9, len(data))]))
        scan = McapScan(file)
        assert all(scan.read(place) is not None for _, _, place in scan.index)
        scan.close()


def test_what_a_killed_recorder_left_in_the_log_beside_its_file_is_read(tmp_path, caplog):
    """In SQLite's write-ahead mode the newest messages lie there, and rosbags passes it over."""
    path = file_of(write_bag(tmp_path / 'bag', recording(4), SQLITE))
    left = tmp_path / 'left'
    left.mkdir()
    file = sqlite3.connect(path)
    file.execute('PRAGMA journal_mode = WAL')
    for topic, time_ns, data in file.execute(
            'SELECT topic_id, timestamp, data FROM messages').fetchall():
        file.execute('INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)',
                     (topic, time_ns + 10**9, data))
    file.commit()
    for suffix in ('', '-wal'):  # As a kill leaves them: the file itself has the first ones only.
        shutil.copy(f'{path}{suffix}', left)
    file.close()
    found, loss = stamps(left / path.name)
    assert len(found) == 8 and loss == '' and 'was not closed by its recorder' in caplog.text


@pytest.mark.parametrize('name', ['bag.db3.zstd', 'bag.mcap.zstd'])
def test_a_file_that_is_compressed_as_a_whole_names_the_tool(tmp_path, name):
    (tmp_path / name).write_bytes(b'\x28\xb5\x2f\xfd')
    assert is_bag(tmp_path / name)
    with pytest.raises(RecordingError, match=f'run `unzstd {name}`'), open_bag(tmp_path / name):
        pass


def test_what_is_no_bag_is_not_to_be_repaired_as_one(tmp_path):
    """Of a photograph ``mcap recover`` was advised."""
    (tmp_path / 'room.jpg').write_bytes(b'\xff\xd8')
    with pytest.raises(RecordingError, match='give the folder of a bag, or its .mcap or .db3'):
        with open_bag(tmp_path / 'room.jpg'):
            pass


def test_messages_that_are_compressed_each_are_read_without_their_metadata(tmp_path):
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=SQLITE)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connections: dict = {}
        for topic, message, time_ns in recording(3):
            kind = message.__msgtype__
            connections.setdefault(topic, None)
            if connections[topic] is None:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time_ns, STORE.serialize_cdr(message, kind))
    for path in (tmp_path / 'bag', file_of(tmp_path / 'bag')):
        assert len(stamps(path)[0]) == 3


def test_nothing_readable_is_one_line(tmp_path):
    for name, data in (('a.mcap', b''), ('b.mcap', b'\x89MCAP0\r\n'), ('c.db3', b'no'),
                       ('d.db3', b'')):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(RecordingError, match='cannot be read as a ROS 2 bag'), \
                open_bag(tmp_path / name):
            pass

