# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, and what it takes of the machine."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys

from emu_perception.ros.demo.processes import arguments

_END_TIMEOUT_S = 20.0


class NodeProcess:
    """``emu_node`` of this Python; its output goes to a file."""

    def __init__(self, parameters: Mapping[str, object], environment: Mapping[str, str],
                 log_file: Path) -> None:
        """Start it."""
        self._log_file = log_file
        with log_file.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'emu_perception.ros.node', *arguments(parameters)],
                env=dict(environment), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True)

    @property
    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._process.poll() is None

    def last_line(self) -> str:
        """Return the last thing it said."""
        lines = self._log_file.read_text(errors='replace').strip().splitlines()
        return lines[-1] if lines else 'without a word'

    def cpu_s(self) -> float:
        """Return the processor time used so far by all of its threads."""
        fields = Path(f'/proc/{self._process.pid}/stat').read_text().rpartition(')')[2].split()
        # Fields 14 and 15 of the whole line: user and system time, in ticks.
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def rss_mb(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 1e6

    def stop(self) -> int:
        """End it with SIGINT, in the end by force; return the exit code."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
