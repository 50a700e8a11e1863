# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The lock of a run's folder: two that train into one would spoil each other's state."""

from __future__ import annotations

import errno
import fcntl
import logging
from pathlib import Path
from typing import IO

from ..recipes.options import RecipeError

LOGGER = logging.getLogger('training')


def locked(folder: Path, processes: int = 1) -> IO[str]:
    """
    Lock a run's folder for this job until the file is closed or the process ends.

    :param processes: of this job: they share the lock.
    :raises RecipeError: if another one has it.
    """
    file = (folder / 'lock').open('w')
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if processes > 1 else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            LOGGER.warning('%s: this file system has no locks: make sure that no other process '
                           'trains here', folder)
            return file
        file.close()
        raise RecipeError(f'{folder}: another process is training here: wait for it, stop '
                          'it, or choose another name=...') from error
    return file
