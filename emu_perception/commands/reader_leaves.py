# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A reader of what a command prints that leaves early, as ``| head`` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
import sys
from typing import Any, cast, TextIO


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """
    Let a command go on to its end when nobody reads what it prints any more.

    Its files are written whole and its exit code stands; without this it would end in a traceback
    at whatever line it printed next, or, of what Python still held back, as the process ends.
    """
    before = sys.stdout, sys.stderr
    streams = [_Stream(stream) for stream in before if stream is not None]
    try:
        if len(streams) == 2:  # Without a console Windows has neither.
            sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
        yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


class _Stream:
    """A stream that from the moment on at which its reader has left leads nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, as a file does."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._lead_nowhere()
            return len(text)

    def flush(self) -> None:
        """Hand on what is held back, as a file does."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._lead_nowhere()
            self._stream.flush()

    def _lead_nowhere(self) -> None:
        # The descriptor itself: what the stream still holds is written to it as it closes.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
