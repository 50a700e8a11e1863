# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is read of a node's process: memory, threads, files, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import os
from pathlib import Path

SAMPLE_EVERY_S = 2.0
_MB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """
    The node's process at one moment; memory in MB. Shared memory is the middleware's.

    :ivar latency_ms: age of an image when its maps are out, mean of the last five seconds.
    :ivar dropped: images so far, whatever the cause.
    """

    time_s: float
    rss_mb: float
    anonymous_mb: float
    shared_mb: float
    threads: int
    open_files: int
    processed: int
    latency_ms: float
    dropped: int


def sample(pid: int, time_s: float, diagnostics: Mapping[str, str]) -> Sample:
    """Read /proc and the node's newest diagnostics."""
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    values = {name: rest.split()[0] for name, _, rest in (line.partition(':') for line in lines)
              if rest.split()}
    rss, anonymous, shared = (int(values[key]) * 1024 / _MB
                              for key in ('VmRSS', 'RssAnon', 'RssShmem'))
    return Sample(round(time_s, 2), round(rss, 2), round(anonymous, 2), round(shared, 2),
                  int(values['Threads']), len(os.listdir(f'/proc/{pid}/fd')),
                  int(diagnostics['processed']), number(diagnostics['pipeline_latency_ms']),
                  sum(drops(diagnostics).values()))


def processor_s(pid: int) -> float:
    """Return what a process has computed so far: what else the machine does changes it little."""
    after_name = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return round(sum(map(int, after_name[11:13])) / os.sysconf('SC_CLK_TCK'), 2)


def number(text: str) -> float:
    """Return a figure of the diagnostics; NaN where there is none."""
    return float('nan') if text == 'n/a' else float(text)


def drops(diagnostics: Mapping[str, str]) -> dict[str, int]:
    """Return the drops so far by cause."""
    return {key.removeprefix('dropped_'): int(value) for key, value in diagnostics.items()
            if key.startswith('dropped_')}
