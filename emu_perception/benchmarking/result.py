# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What every result of a measurement needs: the machine's name."""

from __future__ import annotations

from pathlib import Path
import platform


def processor() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor()
