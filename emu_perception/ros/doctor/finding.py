# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One line of what the doctor found, and the process in which what may crash is tried."""

from __future__ import annotations

from dataclasses import dataclass
import os
import signal
import subprocess
import sys

OK, WARNING, FAULT = LEVELS = ('ok', 'warning', 'fault')
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Finding:
    """
    A line.

    :ivar name: of what was looked at.
    :ivar level: one of ``LEVELS``: a warning is something that works, but worse than it could.
    :ivar text: what is there.
    :ivar remedy: what to do, where it is not ok.
    """

    name: str
    level: str
    text: str
    remedy: str = ''

    def __str__(self) -> str:
        line = f'{self.level:<8} {self.name:<15} {self.text}'
        return f'{line}\n{"":<24} -> {self.remedy}' if self.remedy else line


def tried(code: str, *arguments: str) -> tuple[str, str]:
    """
    Run Python code in a process of its own, which may be killed by what it loads.

    :return: its last line, and '' or, in one line, how it failed.
    """
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run([sys.executable, '-c', code, *arguments], env=environment, text=True,
                              capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return '', f'no answer within {_TIMEOUT_S:.0f} s'
    last = (done.stdout.strip().splitlines() or [''])[-1]
    if done.returncode == 0:
        return last, ''
    if done.returncode < 0:
        return last, f'the process was ended by {signal.Signals(-done.returncode).name}'
    words = (done.stderr.strip().splitlines() or ['no output'])[-1]
    return last, ' '.join(words.split())
