# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A thread that does one small thing again and again, whatever the others are busy with."""

from __future__ import annotations

from collections.abc import Callable
import threading


class Heartbeat:
    """
    Calls a function every so often until it is stopped.

    The executor's thread cannot do that: a transition that loads a model blocks it for seconds.
    """

    def __init__(self, beat: Callable[[], None], period_s: float, *,
                 on_error: Callable[[Exception], bool], name: str) -> None:
        """
        Make it; it stands still until :meth:`start`.

        :param beat: called in the thread; short.
        :param on_error: called in the thread with what ``beat`` let out; False ends the thread.
        :param name: of the thread.
        """
        self._beat, self._period_s, self._on_error = beat, period_s, on_error
        self._stopping = threading.Event()
        # A daemon, so that one that hangs cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Have it end and wait for that; return whether it has ended. May be called again."""
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            try:
                self._beat()
            except Exception as error:  # It goes on where anything is left to go on with.
                if self._stopping.is_set() or not self._goes_on(error):
                    return

    def _goes_on(self, error: Exception) -> bool:
        try:
            return self._on_error(error)
        except Exception:  # To have no way to say it is no reason to fall silent.
            return True
