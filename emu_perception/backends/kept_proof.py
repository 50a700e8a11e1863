# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
A proof that need not ask PyTorch anew at each start of the same network on the same machine.

What PyTorch said of the probes is kept once a backend has proven itself against it. At later
starts the backend answers the probes again, on the machine that will run it, and is held against
that. By what was kept it can be accepted only: whoever does not agree with it is held against what
PyTorch says now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import logging
from pathlib import Path

from emu_perception.backends.proving import Answer, Disproof, Proof
from emu_perception.backends.request import BackendOptions
from emu_perception.cache_files import cache_key, keep_newest, read_cached, write_cached
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
import torch

LOGGER = logging.getLogger('emu_perception')
# Of all networks and sizes; one of VGA is about ten megabytes.
KEPT_FILES, KEPT_BYTES = 32, 1 << 29


class KeptProof:
    """
    Checks a backend by what was kept, or else by what PyTorch says now.

    :param make: asks PyTorch.
    :param folder: where it is kept.
    :param origin: of the network's answers: its hash, what runs it.
    """

    def __init__(self, make: Callable[[], Proof], options: BackendOptions, size: tuple[int, int],
                 folder: Path, origin: str) -> None:
        self._make, self._size = make, size
        self._key = cache_key('answers', origin, options, size, torch.__version__, *_code())
        self._path = folder / f'{self._key}.answers'
        self._kept = self._read()
        self._asked: Proof | None = None

    def check(self, name: str, answer: Answer) -> None:
        """
        Ask for an answer to every probe, as ``Proof.check``.

        :raises Disproof: if one is another than that of 'eager', asked now.
        """
        if self._kept is not None:
            try:
                self._kept.check(name, answer)
                return
            except Disproof as error:
                LOGGER.info('%s; PyTorch is asked again', error)
                self._kept = None
        if self._asked is None:
            self._asked = self._make()
        self._asked.check(name, answer)

    def keep(self) -> None:
        """Keep what PyTorch said, if it was asked; for who has just passed the check."""
        if self._asked is None:
            return
        content = save({name: np.require(values, requirements='C')
                        for name, values in self._asked.arrays.items()})
        if write_cached(self._path, self._key, content, 'PyTorch is asked at each start'):
            keep_newest(self._path.parent, KEPT_FILES, KEPT_BYTES)

    def _read(self) -> Proof | None:
        content = read_cached(self._path, self._key, 'PyTorch is asked again')
        if content is None:
            return None
        try:
            return Proof.of(load(content), self._size)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            LOGGER.warning('%s: is not what was kept (%s); PyTorch is asked again', self._path,
                           error)
            return None


def _code() -> Iterator[str]:
    """Yield name, size and time of the files whose code the answers are: ours and PyTorch's."""
    ours = Path(__file__).resolve().parents[1]
    for path in (*sorted(ours.rglob('*.py')), Path(torch.__file__), Path(torch._C.__file__)):
        state = path.stat()
        yield f'{path} {state.st_size} {state.st_mtime_ns}'
