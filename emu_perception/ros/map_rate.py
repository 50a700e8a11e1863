# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Of which images maps are made: of all, of so many a second, or of one that is asked for."""

from __future__ import annotations

import threading


class MapRate:
    """
    Decides for each image in turn; asked by one thread, told of requests by another.

    An image without maps is judged all the same: the risk flag is of every image.
    """

    def __init__(self) -> None:
        """Start with the next image being due."""
        self._due_s = float('-inf')
        self._rate_hz = 0.0
        self._requested = threading.Event()
        self._answering = False

    def request(self) -> None:
        """Have maps made of the next image."""
        self._requested.set()

    def forget(self) -> None:
        """Drop a request that no image has answered: its session has ended."""
        self._requested.clear()

    def failed(self) -> None:
        """Let the next image answer the request that the image in work was to answer."""
        if self._answering:
            self._requested.set()

    def is_due(self, now_s: float, *, max_rate_hz: float, on_request: bool) -> bool:
        """
        Tell whether maps are to be made of the image in work.

        :param now_s: when it arrived, steady clock.
        :param max_rate_hz: 0: no limit.
        """
        self._answering = self._requested.is_set()
        if self._answering:
            self._requested.clear()
            return True
        if max_rate_hz != self._rate_hz:  # live: what was due by another rate counts no more
            self._rate_hz, self._due_s = max_rate_hz, float('-inf')
        if on_request or now_s < self._due_s:
            return False
        if max_rate_hz > 0:
            period_s = 1.0 / max_rate_hz
            # From when it was due, so that a camera that is not in step keeps the mean rate.
            self._due_s = max(self._due_s, now_s - period_s) + period_s
        return True
