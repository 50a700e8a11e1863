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


@pytest.mark.slow
@pytest.mark.parametrize('command', [
    ['ruff', 'check', '.'], pytest.param(['mypy'], marks=pytest.mark.slow)], ids=['ruff', 'mypy'])
def test_lint(command: list[str]) -> None:
    """``make lint`` finds nothing."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f'NOT TESTED: {command[0]} is not installed; pip install -r '
                    'requirements/test.txt')
    check([sys.executable, '-m', *command])


# Without ament_copyright: it knows licences by their long headers, not by SPDX identifiers.
@pytest.mark.parametrize('linter', ['ament_flake8', 'ament_pep257'])
def test_ament_lint(linter: str) -> None:
    """The linters that ROS 2's build farm runs find nothing, where a ROS 2 brings them."""
    if importlib.util.find_spec(linter) is None:
        pytest.skip(f'NOT TESTED: {linter} is not installed; it comes with ROS 2, not from PyPI')
    check([sys.executable, '-m', f'{linter}.main', 'emu_perception', 'launch', 'test', 'tools',
           'training', 'setup.py'])


def check(command: list[str]) -> None:
    """Run a command at the root and show what it says where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
