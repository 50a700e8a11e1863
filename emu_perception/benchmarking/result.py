# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What every result of a measurement needs: the machine's name, and its place on disk."""

from __future__ import annotations

import json
from pathlib import Path
import platform
from typing import Any


def processor() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor()


def write_json(path: Path, result: Any) -> None:
    """Write a result as JSON, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + '\n')
