# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Style and types are tests like all others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('command', [['ruff', 'check', '.'], ['mypy']])
def test_lint(command: list[str]) -> None:
    """``make lint`` finds nothing."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f'NOT TESTED: {command[0]} is not installed; pip install -r '
                    'requirements/test.txt')
    done = subprocess.run([sys.executable, '-m', *command], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
