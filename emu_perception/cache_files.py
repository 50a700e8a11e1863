# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Files that took long to make, kept for the next start.

A file's first lines hold the hash of all that it was made from, and one of its content: what is
damaged, cut off or of another origin is not read but made again. A folder that cannot be written
costs the time, and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
import stat
import tempfile

from emu_perception.whole_files import write_whole

LOGGER = logging.getLogger('emu_perception')
_MAGIC = b'emu_perception cache 1'


def cache_folder(kind: str) -> Path:
    """Return where files of a kind are kept: $XDG_CACHE_HOME or ~/.cache, emu_perception/kind."""
    root = os.environ.get('XDG_CACHE_HOME', '')
    # The specification has relative paths ignored.
    base = Path(root if root.startswith('/') else os.path.expanduser('~/.cache'))
    if not base.is_absolute():  # A user without a home, as in containers.
        base = Path(tempfile.gettempdir()) / f'cache-{os.getuid()}'
    return base / 'emu_perception' / kind


def cache_key(*parts: object) -> str:
    """Return the key of what is made from all of these."""
    text = '\n'.join(map(str, parts))
    # Names of files may be no UTF-8: their bytes stay in them (surrogateescape).
    return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()


def read_cached(path: Path, key: str, instead: str) -> bytes | None:
    """
    Return what was kept under a key; None if there is none or it is not whole, which is said.

    Neither is it read from a folder into which others could have put it.

    :param instead: what happens then, for the log: 'the engine is built again'.
    """
    try:
        content = path.read_bytes()
        if not _is_own(path.parent):
            LOGGER.warning('%s: others can write into its folder; %s', path, instead)
            return None
        os.utime(path)  # See ``keep_newest``.
    except FileNotFoundError:
        return None
    except OSError as error:
        LOGGER.warning('%s: cannot be read (%s); %s', path, error.strerror, instead)
        return None
    head, _, kept = content.partition(b'\n\n')
    if head != _head(key, kept):
        LOGGER.warning('%s: is damaged or of another version; %s', path, instead)
        return None
    return kept


def write_cached(path: Path, key: str, content: bytes, instead: str) -> bool:
    """
    Keep something under a key, whole or not at all; where that cannot be, it is said.

    :param instead: what happens then, for the log: 'the engine is built at every start'.
    :return: whether it is kept.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(path.parent):
            LOGGER.warning('%s: others can write into its folder; %s', path, instead)
            return False
        write_whole(path, _head(key, content) + b'\n\n' + content)
    except OSError as error:
        LOGGER.warning('%s: cannot be written (%s); %s', path, error.strerror, instead)
        return False
    return True


def keep_newest(folder: Path, files: int, length: int) -> None:
    """
    Remove from a folder what was neither written nor read for longest.

    :param files: as many are kept at most, and at least the newest one.
    :param length: bytes of all of them together at most.
    """
    try:
        found = [(path.stat(), path) for path in folder.iterdir() if path.is_file()]
        found.sort(key=lambda item: item[0].st_mtime_ns, reverse=True)
        total = 0
        for place, (status, path) in enumerate(found):
            total += status.st_size
            if place and (place >= files or total > length):
                path.unlink(missing_ok=True)
    except OSError as error:  # Another process at the same work, or no right to.
        LOGGER.debug('%s: cannot be tidied (%s)', folder, error.strerror)


def _is_own(folder: Path) -> bool:
    """Return whether a folder is this user's, and nobody else's to write into."""
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _head(key: str, content: bytes) -> bytes:
    return b'\n'.join([_MAGIC, key.encode(), hashlib.sha256(content).hexdigest().encode()])
