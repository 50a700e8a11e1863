# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The file that a command writes, looked at before the work that may take minutes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

from emu_perception.errors import InputError


def check_checkpoint(out: Path, read: Path, *, force: bool) -> None:
    """
    Check that a checkpoint may be written; nothing is changed.

    :param read: file or folder that it is made of. A checkpoint that lies in it is none of it.
    :param force: whether what is there is replaced.
    :raises InputError: if it is a folder, is there already, is what is read, or its folder cannot
        be written.
    """
    if out.is_dir():
        raise InputError(f'--out {out}: is a folder; give the name of a file')
    if out.exists() and not force:
        raise InputError(f'--out {out}: is there already; give another name, or --force to '
                         'replace it')
    real, source = out.resolve(), read.resolve()
    if real == source or out.exists() and source in real.parents and real.suffix != '.safetensors':
        raise InputError(f'--out {out}: is what is read ({read}); give another name')
    check_folder_of(out)


def check_writable(path: Path | None) -> None:
    """
    Check that a result can be written before the work is done; its folder is made.

    :raises InputError: if it cannot.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        path.open('a').close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise InputError(f'{path}: cannot be written ({error.strerror})') from error


def check_folder_of(out: Path) -> None:
    """
    Check that a file's folder, or what there is of it, can be written into.

    :raises InputError: if not.
    """
    there = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f'--out {out}: cannot be written ({error.strerror or error})') from error
