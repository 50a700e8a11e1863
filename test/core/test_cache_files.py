# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept comes back whole or not at all, and a folder that fails costs only the time."""

from __future__ import annotations

from pathlib import Path

from emu_perception.cache_files import cache_folder, cache_key, read_cached, write_cached
import pytest

AGAIN = 'it is made again'


def test_what_is_kept_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'file'
    assert write_cached(path, 'key', b'\n\nbytes\n\n\0', AGAIN)
    assert read_cached(path, 'key', AGAIN) == b'\n\nbytes\n\n\0'
    assert list(path.parent.iterdir()) == [path], 'nothing else is left'
    assert read_cached(tmp_path / 'none', 'key', AGAIN) is None


def test_another_key_is_another_thing(tmp_path, caplog):
    write_cached(tmp_path / 'file', 'key', b'bytes', AGAIN)
    assert read_cached(tmp_path / 'file', 'other', AGAIN) is None
    assert caplog.text.count(AGAIN) == 1


@pytest.mark.parametrize('damage', [
    lambda content: content[:-1], lambda content: content[:20], lambda content: b'',
    lambda content: content[:-3] + b'xyz', lambda content: content.replace(b'key', b'yek', 1)])
def test_what_is_damaged_is_not_read(tmp_path, caplog, damage):
    path = tmp_path / 'file'
    write_cached(path, 'key', bytes(range(256)), AGAIN)
    path.write_bytes(damage(path.read_bytes()))
    assert read_cached(path, 'key', AGAIN) is None
    assert str(path) in caplog.text and AGAIN in caplog.text


def test_a_folder_that_cannot_be_written_or_read_is_said_in_one_line(tmp_path, caplog):
    (tmp_path / 'file').write_text('')
    assert not write_cached(tmp_path / 'file' / 'x', 'key', b'bytes', AGAIN)
    assert read_cached(tmp_path / 'file' / 'x', 'key', AGAIN) is None
    assert ['cannot be written', 'cannot be read'] == [
        words for words, text in zip(('cannot be written', 'cannot be read'), caplog.messages)
        if words in text and '\n' not in text]


@pytest.mark.parametrize(('value', 'start'), [('/cache', '/cache'), ('', '~'), ('here', '~')])
def test_files_lie_in_the_users_cache(monkeypatch, value, start):
    monkeypatch.setenv('XDG_CACHE_HOME', value)
    expected = Path('/cache') if start == '/cache' else Path.home() / '.cache'
    assert cache_folder('kind') == expected / 'emu_perception' / 'kind'


def test_a_user_without_a_home_has_a_folder_of_his_own_beside_the_others(monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr('emu_perception.cache_files.os.path.expanduser', lambda path: path)
    folder = cache_folder('kind')
    assert folder.is_absolute() and 'cache-' in folder.parts[-3]


def test_a_key_changes_with_any_part_and_their_order():
    keys = [cache_key('a', 1), cache_key('a', 2), cache_key('b', 1), cache_key(1, 'a')]
    assert len(set(keys)) == len(keys) and cache_key('a', 1) == keys[0]
