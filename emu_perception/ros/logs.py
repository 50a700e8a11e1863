# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Log lines that do not flood: each says once, or at most every few seconds, what it has to."""

from __future__ import annotations

import logging
import time
from typing import Any

CORE = logging.getLogger('emu_perception')


class QuietLog:
    """The node's logger with a memory of what it said, by key."""

    def __init__(self, logger: Any) -> None:
        """Take rclpy's logger."""
        self._logger = logger
        self._said_s: dict[str, float] = {}

    def info(self, text: str) -> None:
        """Say it."""
        self._logger.info(text)

    def warning(self, text: str) -> None:
        """Say it."""
        self._logger.warning(text)

    def error(self, text: str) -> None:
        """Say it."""
        self._logger.error(text)

    def once(self, key: str, text: str, *, warning: bool = True) -> None:
        """Say it the first time for this key."""
        self.every(float('inf'), key, text, warning=warning)

    def every(self, seconds: float, key: str, text: str, *, warning: bool = True) -> None:
        """Say it unless this key has spoken within the last ``seconds``."""
        now_s = time.monotonic()
        last_s = self._said_s.get(key)
        if last_s is not None and now_s - last_s < seconds:
            return
        self._said_s[key] = now_s
        # Two call sites: rclpy ties the severity to the place a line is logged from.
        if warning:
            self._logger.warning(text)
        else:
            self._logger.info(text)

    def forget(self) -> None:
        """Forget what was said: the next activation starts anew."""
        self._said_s.clear()


class ForwardToRos(logging.Handler):
    """
    Hands the core's log lines (Python's ``logging``) on to the node's logger.

    Of several nodes in one process the first says them, since the core does not know for whom.
    """

    def __init__(self, log: QuietLog) -> None:
        """Take everything from INFO on."""
        super().__init__(logging.INFO)
        self._log = log

    def start(self) -> None:
        """Listen to the core."""
        CORE.addHandler(self)
        CORE.setLevel(logging.INFO)

    def stop(self) -> None:
        """Listen no longer."""
        CORE.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on."""
        others = (handler for handler in list(CORE.handlers) if isinstance(handler, ForwardToRos))
        if next(others, None) is not self:
            return
        text = record.getMessage()
        warning = record.levelno >= logging.WARNING
        self._log.every(5.0, text, text, warning=warning)
