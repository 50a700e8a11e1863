# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Counts and times of the pipeline, written by three threads and read by the diagnostics."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from statistics import median
import threading

_WINDOW_S = 5.0


@dataclass(frozen=True)
class Snapshot:
    """
    The figures of one moment; rates and mean times are over the last five seconds.

    :ivar counts: images ``received``, ``processed`` and, of those, ``withheld`` by the gate since
        the start; messages of which ``too_little_known`` was to be sent.
    :ivar flag_latency_p95_s: from an image to its flag, 95th percentile; None without images.
    :ivar drops: images lost since the start, by cause.
    :ivar errors: the last text of each cause that has one; ``last_error`` is the last of all.
    :ivar input_rate_hz, output_rate_hz: None until two images have come within the window.
    :ivar image_age_s: since the last image arrived; None before the first.
    :ivar in_work_s: how long each busy thread ('network', 'publishing') has had its image.
    :ivar times_ms: mean and, with the suffixes ``_median`` and ``_max``, median and largest time
        of each stage.
    """

    counts: Mapping[str, int]
    drops: Mapping[str, int]
    input_rate_hz: float | None
    output_rate_hz: float | None
    image_age_s: float | None
    in_work_s: Mapping[str, float]
    times_ms: Mapping[str, float]
    last_error: str
    flag_latency_p95_s: float | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


class Statistics:
    """Thread-safe; every ``now_s`` is of the steady clock, in seconds."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter(received=0, processed=0, withheld=0,
                                            too_little_known=0)
        self._drops: Counter[str] = Counter()
        self._received: deque[float] = deque(maxlen=1000)
        self._processed: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=1000)
        self._flagged: deque[tuple[float, float]] = deque(maxlen=1000)
        self._last_processed_s: float | None = None
        self._work_since_s: dict[str, float] = {}
        self._work_ended_s = float('-inf')
        self._errors: dict[str, str] = {}
        self._last_error = ''

    def received(self, now_s: float) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._counts['received'] += 1
            self._received.append(now_s)

    def dropped(self, cause: str, error: str = '') -> None:
        """Count an image that was lost, and keep the error's text."""
        with self._lock:
            self._drops[cause] += 1
            if error:
                self._errors[cause] = self._last_error = error

    def withheld(self) -> None:
        """Count an image whose metres the gate has withheld."""
        with self._lock:
            self._counts['withheld'] += 1

    def too_little_known(self) -> None:
        """Count a message for planners that is withheld since too much of it is not known."""
        with self._lock:
            self._counts['too_little_known'] += 1

    def flagged(self, now_s: float, latency_s: float) -> None:
        """Note how long it took from an image to its risk flag."""
        with self._lock:
            self._flagged.append((now_s, latency_s))

    def failed(self, error: str) -> None:
        """Keep the text of an error that cost no image."""
        with self._lock:
            self._last_error = error

    def work_begins(self, now_s: float, thread: str = 'network') -> float:
        """Note that a thread has taken an image; return when the network's ended its last one."""
        with self._lock:
            self._work_since_s[thread] = now_s
            return self._work_ended_s

    def work_ends(self, now_s: float, thread: str = 'network') -> None:
        """Note that a thread is done with its image, well or not."""
        with self._lock:
            del self._work_since_s[thread]
            if thread == 'network':
                self._work_ended_s = now_s

    def processed(self, now_s: float, times_ms: Mapping[str, float]) -> None:
        """Count an image whose maps were published, with the times of its stages."""
        with self._lock:
            times = dict(times_ms)
            if self._last_processed_s is not None:
                times['cyclic_time_ms'] = (now_s - self._last_processed_s) * 1e3
            self._last_processed_s = now_s
            self._counts['processed'] += 1
            self._processed.append((now_s, times))

    def snapshot(self, now_s: float) -> Snapshot:
        """Return the figures as of now."""
        with self._lock:
            recent = [times for at_s, times in self._processed if now_s - at_s <= _WINDOW_S]
            stages: dict[str, list[float]] = {}
            for times in recent:
                for name, value in times.items():
                    stages.setdefault(name, []).append(value)
            summary = {}
            for name, values in stages.items():
                summary[name] = sum(values) / len(values)
                summary[f'{name}_median'] = median(values)
                summary[f'{name}_max'] = max(values)
            return Snapshot(
                counts=dict(self._counts), drops=dict(self._drops),
                input_rate_hz=_rate([t for t in self._received if now_s - t <= _WINDOW_S]),
                output_rate_hz=_rate([t for t, _ in self._processed if now_s - t <= _WINDOW_S]),
                image_age_s=now_s - self._received[-1] if self._received else None,
                in_work_s={thread: now_s - since_s
                           for thread, since_s in self._work_since_s.items()},
                errors=dict(self._errors),
                times_ms=summary, last_error=self._last_error,
                flag_latency_p95_s=_p95([one for at_s, one in self._flagged
                                         if now_s - at_s <= _WINDOW_S]))


def _p95(values: list[float]) -> float | None:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else None


def _rate(times: list[float]) -> float | None:
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    return (len(times) - 1) / span if span > 0 else None
