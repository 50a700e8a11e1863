# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that processes the newest of the things it is given, and drops the older ones."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class Worker(Generic[T]):
    """
    A thread with a mailbox of one slot.

    A slow consumer must not build up a queue: a robot wants the map of now, not that of three
    seconds ago.
    """

    def __init__(self, process: Callable[[T], None], *, on_error: Callable[[Exception], None],
                 on_stopped: Callable[[], None],
                 on_started: Callable[[], None] = lambda: None, name: str = 'emu_worker') -> None:
        """
        Start the thread.

        :param process: called in the thread with each item taken.
        :param on_error: called in the thread with an exception that ``process`` let out.
        :param on_stopped: called last in the thread: the place to free what ``process`` used.
        :param on_started: called first in the thread; items wait until it is done.
        :param name: of the thread.
        """
        self._process = process
        self._on_error = on_error
        self._on_stopped = on_stopped
        self._on_started = on_started
        self._ready = threading.Condition()
        self._slot: T | None = None
        self._stopping = False
        # A daemon, so that an inference that never returns cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T) -> T | None:
        """Put an item into the slot and return the one it replaced, if any. Never blocks."""
        with self._ready:
            replaced, self._slot = self._slot, item
            self._ready.notify()
        return replaced

    def clear(self) -> T | None:
        """Empty the slot and return what was in it."""
        with self._ready:
            dropped, self._slot = self._slot, None
        return dropped

    def stop(self) -> None:
        """Have the thread end after the item in work. Returns at once."""
        with self._ready:
            self._stopping = True
            self._slot = None
            self._ready.notify()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the end of the thread (None: for ever); return whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._guarded(self._on_started)
        while True:
            with self._ready:
                self._ready.wait_for(lambda: self._stopping or self._slot is not None)
                if self._stopping:
                    break
                item, self._slot = self._slot, None
            assert item is not None
            self._guarded(lambda item=item: self._process(item))  # type: ignore[misc]
            del item  # an image is megabytes; do not hold it while waiting for the next
        self._guarded(self._on_stopped)

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # the thread is the node's heart: it survives anything
            try:
                self._on_error(error)
            except Exception:
                pass
