# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The file that a command writes, looked at before the work that may take minutes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from emu_perception.errors import InputError
from emu_perception.foreign_files import file_in_the_way


def check_file(out: Path, *beside: Path, force: bool) -> None:
    """
    Check that a file, and those that are written beside it, may be written; nothing is changed.

    :param force: whether what is there is replaced.
    :raises InputError: if one is a folder, or is there already, or their folder cannot be written.
    """
    for path in (out, *beside):
        what = f'--out {out}:' if path == out else f'--out {out}: {path}'
        if path.is_dir():
            raise InputError(f'{what} is a folder; give the name of a file' if path == out else
                             f'{what} is a folder; give another name')
        if path.exists() and not force:
            raise InputError(f'{what} is there already; give another name, or --force to replace '
                             'it')
    check_folder_of(out)


def check_checkpoint(out: Path, read: Path, *, force: bool) -> None:
    """
    Check that a checkpoint may be written, as ``check_file``.

    :param read: file or folder that it is made of. A checkpoint that lies in it is none of it.
    :raises InputError: as there, or if it is what is read.
    """
    check_file(out, force=force)
    real, source = out.resolve(), read.resolve()
    if real == source or out.exists() and source in real.parents and real.suffix != '.safetensors':
        raise InputError(f'--out {out}: is what is read ({read}); give another name')


def check_writable(path: Path | None) -> None:
    """
    Check that a result can be written before the work is done; nothing is made.

    :raises InputError: if it cannot.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise InputError(f'{path}: is a folder; give the name of a file')
        if path.exists():
            path.open('a').close()
        else:
            check_folder(path.absolute().parent, str(path))
    except OSError as error:
        raise InputError(f'{path}: cannot be written ({error.strerror})') from error


def make_folder(folder: Path, what: str) -> None:
    """
    Make a folder for results; one that is there is taken as it is.

    :param what: the option that names it, and its value.
    :raises InputError: if it cannot be made or written into.
    """
    check_folder(folder.absolute(), what)
    folder.mkdir(parents=True, exist_ok=True)


def check_folder_of(out: Path) -> None:
    """
    Check that a file's folder, or what there is of it, can be written into.

    :raises InputError: if not.
    """
    check_folder(out.absolute().parent, f'--out {out}')


def check_folder(folder: Path, what: str) -> None:
    """
    Check that a folder, or what there is of it, can be written into; nothing is made.

    :param what: is to be written, for people.
    :raises InputError: if not.
    """
    try:
        blocking = file_in_the_way(folder)
        if blocking is not None:
            raise InputError(f'{what}: {blocking} is a file, not a folder; give another name')
        there = next(one for one in (folder, *folder.parents) if one.exists())
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f'{what}: cannot be written ({error.strerror or error})') from error
