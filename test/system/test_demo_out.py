# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The demo clears its own folder, and deletes nothing of anybody else's."""

from __future__ import annotations

from pathlib import Path

from emu_perception.errors import InputError
from emu_perception.ros.demo import command
from emu_perception.ros.demo.demo_arguments import parser
from emu_perception.ros.demo.frames import DemoFrame, evenly_spaced, thinned
from emu_perception.ros.demo.out_folder import clear
import pytest


def written(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('.')


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob('*') if path.is_file()}


def test_what_an_earlier_demo_left_is_cleared(tmp_path):
    written(tmp_path / 'frames/000_room.png', tmp_path / '000_room.png',
            tmp_path / 'summary.json', tmp_path / 'log/emu_node.txt')
    clear(tmp_path)
    assert everything(tmp_path) == {tmp_path / 'log/emu_node.txt'}
    clear(tmp_path)  # A demo that came to nothing.
    clear(tmp_path / 'new/folder')
    assert (tmp_path / 'new/folder/log').is_dir()


@pytest.mark.parametrize('foreign', [
    ('holiday.png',), ('holiday.jpg',), ('frames/mine.png',), ('log/mine.txt',),
    ('frames/000_room.png', 'log/emu_node.txt', '000_room.png', 'holiday.png')],
    ids=lambda names: names[-1])
def test_a_folder_with_anything_else_is_refused_and_left_as_it_is(foreign, tmp_path):
    """``emu demo --out .`` removed every PNG of the folder, and its folder ``frames``."""
    written(*(tmp_path / name for name in foreign))
    before = everything(tmp_path)
    with pytest.raises(InputError, match='holds what no demo wrote .*; give a folder of its own'):
        clear(tmp_path)
    assert everything(tmp_path) == before


def test_a_file_as_folder_is_refused(tmp_path):
    written(tmp_path / 'out')
    with pytest.raises(InputError, match='--out .*: is a file'):
        clear(tmp_path / 'out')


@pytest.mark.parametrize('options, message', [
    (['--limit', '0'], '--limit is 0: give 1 or more'),
    (['--images', 'nowhere'], 'nowhere: give a folder of images'),
    (['--images', '{out}'], 'is where the input is read from'),
    (['--images', '{out}/frames'], 'is where the input is read from')])
def test_what_cannot_be_shown_is_refused_before_anything_is_removed(
        options, message, tmp_path, image_folder):
    image_folder.rename(tmp_path / 'frames')
    written(tmp_path / 'log/emu_node.txt', tmp_path / 'summary.json')
    (tmp_path / 'a.png').write_bytes((tmp_path / 'frames/a.png').read_bytes())
    before = everything(tmp_path)
    words = [word.format(out=tmp_path) for word in options]
    with pytest.raises(InputError, match=message):
        command.run(parser().options([*words, '--out', str(tmp_path)]), {})
    assert everything(tmp_path) == before


def test_the_limit_is_of_the_photographs_too(tmp_path):
    """``emu demo --limit 3`` showed all 59."""
    frames = [DemoFrame(f'{index}.png', 'room') for index in range(9)]
    written(*(tmp_path / frame.name for frame in frames))
    kept = thinned(frames, tmp_path, 3)
    assert [frame.name for frame in kept] == ['0.png', '4.png', '8.png']
    assert {path.name for path in everything(tmp_path)} == {'0.png', '4.png', '8.png'}
    assert evenly_spaced(frames, 9) == evenly_spaced(frames, 60) == frames
