# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What other systems leave in folders and how they write text and names."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import re
import sys
import unicodedata

from emu_perception.errors import InputError

_LITTER = {'thumbs.db', 'ehthumbs.db', 'desktop.ini', '__macosx', '@eadir', '$recycle.bin'}
_MARKS = ((codecs.BOM_UTF8, 'utf-8'), (codecs.BOM_UTF16_LE, 'utf-16-le'),
          (codecs.BOM_UTF16_BE, 'utf-16-be'))


def is_litter(name: str) -> bool:
    """
    Tell by its name whether a file or folder is some system's own, and nobody's data.

    macOS puts ``._0001.jpg``, which is no JPEG, beside each file on a disk of another system.
    """
    return name.startswith('.') or name.lower() in _LITTER


def one_spelling(name: str) -> str:
    """
    Return a name as all systems write it: macOS takes its accents apart (NFD), others do not.

    Compared as they are, one file under both spellings would be two.
    """
    return unicodedata.normalize('NFC', name)


def holds_anything(folder: Path) -> bool:
    """
    Tell whether there is anything in a folder but litter.

    :raises OSError: if it cannot be listed.
    """
    return any(not is_litter(path.name) for path in folder.iterdir())


def decoded_text(data: bytes) -> str:
    """
    Return text as UTF-8, as UTF-16 with its mark (PowerShell), else as Windows-1252.

    What is none of these, a byte in a thousand names, stays in it as Python keeps such bytes in
    names of files (surrogateescape).
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark):].decode(encoding, errors='replace')
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        return data.decode('cp1252')
    except UnicodeDecodeError:
        return data.decode(errors='surrogateescape')


def read_text(path: Path) -> str:
    """
    Read a file of text that any system has written (see :func:`decoded_text`).

    :raises OSError: if it cannot be read.
    """
    return decoded_text(path.read_bytes())


def why_unread(error: OSError) -> str:
    """Return in a few words why a file cannot be read, for people: no number, no name twice."""
    if isinstance(error, FileNotFoundError):
        return 'no such file'
    if isinstance(error, IsADirectoryError):
        return 'is a folder, not a file'
    return f'cannot be read ({error.strerror or error})'


def file_in_the_way(folder: Path) -> Path | None:
    """Return the file in place of a folder, or of one that it would lie in; None: no file is."""
    real = folder.absolute()  # Not pathlib's exists: it raises of what may not be looked at.
    there = next((one for one in (real, *real.parents) if os.path.exists(one)), real)
    return there if os.path.exists(there) and not os.path.isdir(there) else None


def why_failed(error: OSError) -> str:
    """Return in one line what an OSError names and what is wrong with it, for people."""
    if not error.filename:
        return str(error)
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        there = file_in_the_way(Path(os.fsdecode(error.filename)))
        if there is not None:
            return f'{error.filename}: {there} is a file, not a folder; give another name'
    return f'{error.filename}: {error.strerror}'


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return a path with the folder of a user for its ~; of nobody it is a name like any other."""
    return Path(os.path.expanduser(path))  # pathlib's own raises RuntimeError of nobody's.


@contextmanager
def reading() -> Iterator[None]:
    """
    Say in one line what cannot be read, for people: no number, its name first.

    :raises InputError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f'{error.filename}: {why_unread(error)}' if error.filename else
                         str(error)) from error


def names_in(data: bytes, known: Callable[[str], bool]) -> list[str]:
    """
    Return the names of files that a list has, a line each; they may hold spaces.

    :param known: whether there is a file of this name. Of a list in another encoding than UTF-8
        it tells whether the names on the disk are in it too, or in UTF-8.
    """
    texts = [decoded_text(data)]
    if not data.startswith(tuple(mark for mark, _ in _MARKS)):
        texts.append(data.decode(errors='surrogateescape'))
    lines = zip(*(re.split(r'[\r\n]+', text) for text in texts))
    names = [[part.strip() for part in parts] for parts in lines]
    return [next((name for name in reversed(parts) if known(name)), parts[0])
            if len({*parts}) > 1 else parts[0] for parts in names if parts[0]]


def print_any_name() -> None:
    r"""Let names that are no UTF-8 be printed, their bytes as \udc89; once, for a command."""
    reconfigure = getattr(sys.stdout, 'reconfigure', None)
    if reconfigure is not None:  # Else whoever took its place knows what to do.
        reconfigure(errors='backslashreplace')
