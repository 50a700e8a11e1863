# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The folder of results: refused where something is in it, cleared of our own results only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
import re
import shutil

from emu_perception.cameras.opening import folder_of_bag
from emu_perception.commands import output_file
from emu_perception.errors import InputError
from emu_perception.foreign_files import expanded, holds_anything, is_litter

TABLE, VIDEO, SUMMARY = 'frames.csv', 'video.mp4', 'summary.json'
PANELS, MAPS, RECORDING = 'panels', 'maps', 'recording'
_FILES = TABLE, VIDEO, SUMMARY
# What the files of a run are called in each.
_FOLDERS = {PANELS: r'\d{6,}_.*\.png', MAPS: r'\d{6,}_.*\.npz',
            RECORDING: r'metadata\.yaml|recording\.mcap'}
_TABLE_START = b'source,'


def check_folder(out: Path, force: bool) -> None:
    """
    Check that a run may write here; nothing is changed.

    :raises InputError: if it is no folder, holds something and ``force`` is off, or cannot be
        written.
    """
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f'--out {out}: is a file; give a folder')
        if out.is_dir() and not force and holds_anything(out):
            raise InputError(f'--out {out}: is not empty; give another folder, or --force to '
                             'replace the results in it')
    except OSError as error:
        raise InputError(f'--out {out}: cannot be read ({error.strerror})') from error
    output_file.check_folder(out.absolute(), f'--out {out}')


def check_apart(path: Path, out: Path) -> None:
    """
    Refuse to write into the folder that is read: its own panels would be input next time.

    Nor into a recording: who copies it, or removes it, has nothing else in mind.

    :raises InputError: if it is so.
    """
    bag = folder_of_bag(path) if path.exists() else None
    if bag is not None and bag.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f'--out {out}: is in the folder of the recording that is read, {bag}; '
                         'give another folder')
    if path.is_dir() and (out.resolve() == path.resolve()
                          or path.resolve() in out.resolve().parents
                          and out.resolve().name in ('image', PANELS)):
        raise InputError(f'--out {out}: is where the input is read from; give another folder')


def check_kept(read: Iterable[Path], out: Path) -> None:
    """
    Refuse to replace, with the results of an earlier run, what this one reads.

    :param read: files and folders; what is not there is passed over.
    :raises InputError: if one of them is such a result, or lies in one.
    """
    results = {(out / name).resolve() for name in (*_FILES, *_FOLDERS)}
    for path in read:
        real = expanded(path).resolve()
        if not results.isdisjoint((real, *real.parents)):
            raise InputError(f'--out {out}: {path}, which is read, is among the results there '
                             'that would be replaced; give another folder')


def check_own(out: Path) -> None:
    """
    Refuse to replace what no run wrote: a robot's maps/ may be Nav2's.

    :raises InputError: naming what is there.
    """
    try:
        # Every run begins with the table.
        own = (out / TABLE).is_file() and (out / TABLE).read_bytes().startswith(_TABLE_START)
        there = [out / name for name in (*_FILES, *_FOLDERS) if (out / name).exists()]
        foreign = next((found for path in there for found in _foreign(path, own)), None)
    except OSError as error:
        raise InputError(f'--out {out}: cannot be read ({error.strerror})') from error
    if foreign is not None:
        raise InputError(f'--out {out}: {foreign.relative_to(out)} is of no run of this command, '
                         'and would be removed; give another folder')


def _foreign(path: Path, own: bool) -> Iterator[Path]:
    """Yield what no run wrote of a place of results; all of it where the folder is nobody's."""
    form = _FOLDERS.get(path.name)
    if not own or path.is_dir() != (form is not None):
        yield path
    elif form is not None:
        yield from (child for child in sorted(path.iterdir()) if not (
            is_litter(child.name) or child.is_file() and (
                child.name.endswith('.partial')  # Of a run that was killed.
                or re.fullmatch(form, child.name, re.DOTALL))))


def make_folder(out: Path) -> bool:
    """
    Make the folder, and remove the results of an earlier run.

    :return: whether it was not there before.
    :raises InputError: if it cannot be written.
    """
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        _remove_results(out)
        probe = out / '.emu_run'
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f'--out {out}: cannot be written ({error.strerror or error})') from error
    return made


def discard(out: Path, made: bool) -> None:
    """Remove the results of a run that came to nothing, and the folder where the run made it."""
    _remove_results(out)
    if made and not holds_anything(out):
        out.rmdir()


def _remove_results(out: Path) -> None:
    for name in _FILES:
        (out / name).unlink(missing_ok=True)
    for name in _FOLDERS:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
