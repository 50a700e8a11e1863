# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Locks of folders: two that train into one would spoil each other's state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import fcntl
import logging
from pathlib import Path
from typing import IO

from ..recipes.options import RecipeError

LOGGER = logging.getLogger('training')


def locked(folder: Path, *, first: bool = True) -> IO[str]:
    """
    Lock a run's folder for this job until the file is closed or the process ends.

    :param first: of the job's processes: it has the lock for all of them, the others ask for none.
    :raises RecipeError: if another job has it.
    """
    file = (folder / 'lock').open('w')
    if not first:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            LOGGER.warning('%s: this file system has no locks: make sure that no other process '
                           'trains here', folder)
            return file
        file.close()
        raise RecipeError(f'{folder}: another process is training here: wait for it, stop '
                          'it, or choose another name=...') from error
    return file


@contextmanager
def alone(folder: Path, waiting: str) -> Iterator[None]:
    """
    Have a folder for this process, and wait for it where another one has it.

    Where the file system has no locks nobody waits, which is said.

    :param waiting: what to say of it, a clause that the folder's name precedes.
    """
    path = folder / 'lock'
    with path.open('w') as file:
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                LOGGER.info('%s: %s', folder, waiting)
                fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            LOGGER.warning('%s: cannot be locked (%s)', path, error.strerror)
        yield
