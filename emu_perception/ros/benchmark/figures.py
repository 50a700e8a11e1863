# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From times of sending and receiving to the figures of a run (those of ros2_benchmark)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
import struct
from typing import Any

from emu_perception.errors import InputError
import numpy as np

Stamp = tuple[int, int]
# The stages that diagnostics give and the table shows; all are medians over five seconds.
STAGES = ('overhead', 'waiting', 'conversion', 'prediction', 'risk', 'handover', 'publish',
          'processing')


@dataclass
class Record:
    """
    What happened while images were sent at one rate.

    :ivar sent_s: by stamp, when an image was sent (steady clock).
    :ivar received_s: by topic and stamp, when a map arrived.
    :ivar cpu_s: processor time the node used.
    :ivar wall_s: how long that took.
    :ivar rss_mb: the node's resident memory at the end.
    :ivar values: the node's diagnostics at the end, by key.
    :ivar before: the same at the beginning.
    """

    sent_s: dict[Stamp, float] = field(default_factory=dict)
    received_s: dict[str, dict[Stamp, float]] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    rss_mb: float = 0.0
    values: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)


def stamp_of(serialized: bytes) -> Stamp:
    """Return the stamp of a serialized message that begins with a header."""
    # Four bytes say how it is serialized; the second is 1 for little endian.
    seconds, nanoseconds = struct.unpack_from('<iI' if serialized[1] & 1 else '>iI', serialized, 4)
    return int(seconds), int(nanoseconds)


def answers(record: Record, topics: Collection[str]) -> dict[Stamp, tuple[float, float]]:
    """Return, for each image whose maps have all come, when it was sent and the last map came."""
    found = {}
    for stamp, sent_s in record.sent_s.items():
        times = [record.received_s.get(topic, {}).get(stamp) for topic in topics]
        known = [time_s for time_s in times if time_s is not None]
        if known and len(known) == len(times):
            found[stamp] = (sent_s, max(known))
    return found


def summary(record: Record, topics: Collection[str]) -> dict[str, Any]:
    """
    Return the figures of a run; None where there are too few answers for one.

    ``missed`` images are those not all of whose maps came. ``jitter_ms`` is the standard
    deviation of the time from one answer to the next; ``cpu_percent`` 100 is one core.
    """
    times = np.array(list(answers(record, topics).values()), np.float64).reshape(-1, 2)
    latency = 1e3 * (times[:, 1] - times[:, 0])
    arrivals = np.sort(times[:, 1])
    span = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
    processed = _counted(record, 'processed')

    def of_latency(take: Any) -> float | None:
        return round(float(take(latency)), 3) if len(latency) else None
    result: dict[str, Any] = {
        'sent': len(record.sent_s), 'answered': len(times),
        'missed': len(record.sent_s) - len(times),
        'mean_fps': round((len(arrivals) - 1) / span, 3) if span > 0 else None,
        'first_latency_ms': of_latency(lambda values: values[0]),
        'last_latency_ms': of_latency(lambda values: values[-1]),
        'median_latency_ms': of_latency(np.median),
        'p99_latency_ms': of_latency(lambda values: np.percentile(values, 99)),
        'jitter_ms': (round(float(1e3 * np.diff(arrivals).std()), 3) if len(arrivals) > 2
                      else None),
        'cpu_percent': round(100.0 * record.cpu_s / record.wall_s, 1) if record.wall_s else None,
        'cpu_ms_per_image': round(1e3 * record.cpu_s / processed, 3) if processed else None,
        'rss_mb': round(record.rss_mb, 1),
        'drops': {key.removeprefix('dropped_'): _counted(record, key) for key in record.values
                  if key.startswith('dropped_') and _counted(record, key)},
        'lost_before_node': _counted(record, 'lost_before_node')}
    for stage in STAGES:
        result[f'{stage}_ms'] = _number(record.values.get(f'{stage}_time_ms_median'))
    return result


def topic_cost(base: Mapping[str, Any], with_topic: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one more topic costs an image: milliseconds until published, and of the CPU."""
    cost = {}
    for name in ('publish_ms', 'cpu_ms_per_image', 'median_latency_ms'):
        one, two = base[name], with_topic[name]
        cost[name] = None if one is None or two is None else round(two - one, 3)
    return cost


def rates(text: str) -> list[float | None]:
    """
    Read '10,30,max'; None is as fast as the node can.

    :raises InputError: if one is neither.
    """
    found: list[float | None] = []
    for word in text.split(','):
        try:
            rate = None if word == 'max' else float(word)
        except ValueError:
            rate = 0.0
        if rate is not None and not 0.1 <= rate <= 1000.0:
            raise InputError(f"--rates has '{word}': give images a second from 0.1 to 1000, or "
                             'max, as in 10,30,max')
        found.append(rate)
    return found


def _counted(record: Record, key: str) -> int:
    before, after = (_number(values.get(key)) or 0 for values in (record.before, record.values))
    return int(after - before)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:  # 'n/a'
        return None
