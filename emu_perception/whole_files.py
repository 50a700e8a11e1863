# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Files that are whole or not there: whatever this package writes at once is written by this.

A file is written beside its target, brought to the disk, and then takes the target's place: who is
killed, or whose power is cut, while it is written still has the one of before. Beside it, since a
file cannot be moved at one stroke to another file system, as from $TMPDIR.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
import logging
import math
import os
from pathlib import Path
import secrets
from typing import Any, IO

LOGGER = logging.getLogger('emu_perception')
_PARTIAL = '.partial'
_NAME_CHARACTERS = 50  # Of the target's: a name may have 255 bytes, a character of it has up to 4.


@contextmanager
def whole_path(path: str | Path) -> Iterator[Path]:
    """
    Yield a path to write, which becomes ``path`` when the block ends, and nothing if it fails.

    The folder is made where it is missing. A link stays one: what it leads to is replaced. What
    is no file (/dev/stdout, a pipe) cannot be replaced and is written as it is.

    :raises OSError: with the name of ``path``, what is wrong, and whether the file of before is
        kept.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.resolve()
        if target.exists() and not target.is_file():
            yield path
            return
        partial = target.with_name(f'{target.name[:_NAME_CHARACTERS]}.{secrets.token_hex(4)}'
                                   f'{_PARTIAL}')
        try:
            yield partial
            with partial.open('rb') as file:
                os.fsync(file.fileno())  # Else a power cut may leave the new name with no content.
            os.replace(partial, target)
        finally:
            try:
                partial.unlink(missing_ok=True)
            except OSError:
                LOGGER.debug('%s: cannot be removed', partial)


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """
    Yield a file to write into, as :func:`whole_path`.

    :raises OSError: as there.
    """
    with whole_path(path) as partial, partial.open('wb') as file:
        yield file


def write_whole(path: str | Path, content: str | bytes) -> None:
    """
    Write a file, text as UTF-8; bytes of names that are none stay what they are.

    :raises OSError: as :func:`whole_path`.
    """
    with whole_file(path) as file:
        file.write(content.encode(errors='surrogateescape') if isinstance(content, str)
                   else content)


def write_json(path: str | Path, document: Any, indent: int = 1) -> None:
    """
    Write a JSON file: what is no number, or infinite, is null in it, as :func:`finite` says.

    Python alone reads back a NaN, which JSON has not: jq, browsers and ``JSON.parse`` refuse the
    whole file.

    :raises OSError: as :func:`whole_path`.
    """
    write_whole(path, json.dumps(finite(document), indent=indent, allow_nan=False) + '\n')


def finite(value: Any) -> Any:
    """Return inf and NaN as None, which JSON has, and NumPy's numbers as numbers, recursively."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if getattr(value, 'shape', None) == ():  # Without NumPy, which who only asks for help lacks.
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Give an error of the system the name of what is written: that of a full disk has none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        reason = error.strerror or str(error)
        if Path(path).is_file():
            reason += '; the file of before is kept'
        raise OSError(error.errno, reason, str(path)) from error


def remove_partial(folder: Path) -> None:
    """Remove what a process that was killed left of its files; nobody else may write there."""
    for path in folder.glob(f'*{_PARTIAL}'):
        path.unlink(missing_ok=True)
