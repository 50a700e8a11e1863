# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A file is whole or not there, and what was there before is kept until the new one is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
import subprocess
import sys

from emu_perception.whole_files import remove_partial, whole_file, write_json, write_whole
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'file'
    write_whole(path, 'Tür')
    assert path.read_bytes() == 'Tür'.encode()
    write_whole(path, b'\0\1')
    assert path.read_bytes() == b'\0\1' and list(path.parent.iterdir()) == [path]
    write_json(path, {'a': [1]})
    assert json.loads(path.read_text()) == {'a': [1]}


def test_json_holds_null_where_a_number_is_none_whoever_writes_it(tmp_path):
    path = tmp_path / 'file'
    write_json(path, {'figures': (1.5, float('nan')), 'of': {'lens': [np.float32('inf'), 2]},
                      'rows': np.int64(3)})

    def refused(word: str) -> None:
        raise AssertionError(f'{word} is no JSON')
    assert json.loads(path.read_text(), parse_constant=refused) == {
        'figures': [1.5, None], 'of': {'lens': [None, 2]}, 'rows': 3}


def test_the_file_of_before_is_kept_whatever_ends_the_writing(tmp_path):
    path = tmp_path / 'file'
    write_whole(path, 'before')
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b'after, but not all')
        raise KeyboardInterrupt
    assert path.read_text() == 'before' and list(tmp_path.iterdir()) == [path]


# The limit of a process on the size of its files stands for the disk's: of a process of its own,
# for other threads of this one, a compiler's among them, would lose what they write.
FULL_DISK = """
import errno, resource, sys
from pathlib import Path
from emu_perception.whole_files import write_whole
folder = Path(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
for name in ('file', 'other'):
    try:
        write_whole(folder / name, bytes(1 << 20))
    except OSError as error:
        print(errno.errorcode[error.errno], error.filename, error.strerror)
"""


def test_a_full_disk_names_the_path_and_keeps_the_file_of_before(tmp_path):
    path = tmp_path / 'file'
    write_whole(path, 'before')
    done = subprocess.run([sys.executable, '-c', FULL_DISK, str(tmp_path)], capture_output=True,
                          text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, other = done.stdout.splitlines()
    assert first.startswith(f'EFBIG {path} ') and 'the file of before is kept' in first
    assert other.startswith(f'EFBIG {tmp_path / "other"} ') and 'before' not in other
    assert path.read_text() == 'before' and list(tmp_path.iterdir()) == [path]


def test_it_is_written_beside_its_target_whatever_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv('TMPDIR', '/nowhere')  # What is moved from there is not moved at a stroke.
    for name in ('ü' * 127, '.hidden', b'a_\x89\xe6'.decode(errors='surrogateescape')):
        with whole_file(tmp_path / name) as file:
            assert Path(file.name).parent == tmp_path
        assert (tmp_path / name).exists()


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / 'far').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path / 'far/file')
    write_whole(tmp_path / 'link', 'through')
    assert (tmp_path / 'link').is_symlink() and (tmp_path / 'far/file').read_text() == 'through'
    write_whole('/dev/null', 'away')
    assert not Path('/dev/null').is_file()


def test_a_killed_process_leaves_the_file_of_before(tmp_path):
    path = tmp_path / 'file'
    write_whole(path, 'before')
    killed = subprocess.run([sys.executable, '-c', (
        'import os, signal, sys\nfrom emu_perception.whole_files import whole_file\n'
        'with whole_file(sys.argv[1]) as file:\n'
        '    file.write(bytes(100_000))\n    file.flush()\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n'), str(path)], cwd=ROOT)
    assert killed.returncode == -9 and path.read_text() == 'before'
    assert len(os.listdir(tmp_path)) == 2
    remove_partial(tmp_path)
    assert list(tmp_path.iterdir()) == [path], 'what the killed one left is not tidied'


# Written bit by bit, or of a folder that is whole with its last file alone.
DIRECTLY = {'emu_perception/commands/file_outputs.py', 'training/prepare/folder_writer.py',
            'training/runs/folder_lock.py', 'emu_perception/whole_files.py',
            'emu_perception/ros/benchmark/node_process.py',  # A process's own log.
            'emu_perception/ros/demo/processes.py', 'training/runs/members.py',
            'training/runs/peak_memory.py',  # In $TMPDIR, for a process of its own.
            'emu_perception/commands/output_file.py'}  # Only tries whether it could.


def test_nothing_else_writes_files():
    """Each such line is a file that a power cut leaves empty."""
    writes = re.compile(r"\.write_(text|bytes)\(|\bopen\([^)]*'[wax]b?\+?'|os\.replace\(|"
                        r'NamedTemporaryFile|shutil\.move')
    for folder in ('emu_perception', 'training'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            name = str(path.relative_to(ROOT))
            for line in path.read_text().splitlines():
                assert name in DIRECTLY or not writes.search(line), f'{name}: {line}'
