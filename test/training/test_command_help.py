# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``--help`` of what is started by itself comes at once, too: nothing that is slow is imported."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys

from emu_perception.commands import read_first
from emu_perception.commands.subcommands import OFFLINE, SUBCOMMANDS
import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = ('torch', 'lightning', 'timm', 'rclpy')
COMMANDS = sorted(row.module.replace(OFFLINE, 'training').removesuffix('.__main__')
                  for row in SUBCOMMANDS.values() if row.module.startswith(OFFLINE))
# Says a name, whether the usage names it, and what is loaded that is slow.
SAID = f"""
import contextlib, importlib, io, runpy, sys
def said(name, start):
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        start()
    print(name, f'usage: {{name}}' in text.getvalue(),
          [slow for slow in {SLOW} if slow in sys.modules])
"""


def lines_of(code: str) -> list[str]:
    """Return what a Python that does nothing else prints."""
    done = subprocess.run([sys.executable, '-c', SAID + code], capture_output=True, text=True,
                          cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_help_of_a_training_command_that_is_started_by_itself_imports_no_torch():
    """Of each as Python looks for it, in one process: to start it costs more than to test it."""
    found = lines_of(f"""
for name in {COMMANDS}:
    for loaded in [each for each in sys.modules if each.split('.')[0] == 'training']:
        del sys.modules[loaded]
    sys.argv, sys.orig_argv = ['-m', '--help'], ['python', '-m', name, '--help']
    said(f'python -m {{name}}', lambda: importlib.import_module('training'))
""")
    assert found == [f'python -m {name} True []' for name in COMMANDS]


@pytest.mark.slow
def test_python_itself_comes_by_there_before_it_imports_the_command():
    done = subprocess.run([sys.executable, '-X', 'importtime', '-m', 'training.fit', '--help'],
                          capture_output=True, text=True, cwd=ROOT)
    loaded = {line.rpartition('|')[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0 and done.stdout.startswith('usage: python -m training.fit')
    assert 'training.arguments.parsers' in loaded and not {*SLOW} & loaded


@pytest.mark.parametrize(('argv', 'started', 'expected'), [
    (['-m', '--help'], ['python', '-X', 'dev', '-m', 'training.fit', '--help'], 'training.fit'),
    (['-m'], ['python', '-mtraining.studies.trust'], 'training.studies.trust'),
    (['-m', '-m', 'x'], ['python', '-m', 'pytest', '-m', 'x'], 'pytest'),
    (['/t/training/fit.py', '--help'], ['python', '-m', 'training.fit', '--help'], ''),
    (['-c'], ['python', '-c', 'import training'], ''), ([], ['python'], '')])
def test_a_command_is_known_while_python_looks_for_it_and_at_no_other_time(
        monkeypatch, argv, started, expected):
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'orig_argv', started)
    assert read_first.started_module() == expected


def test_what_is_no_command_of_training_is_left_alone():
    """A part of it that is run for itself, and somebody's package whose name begins alike."""
    assert lines_of("""
for name in ('training.runs.peak_memory', 'training_of_mine.fit', 'training'):
    sys.modules.pop('training', None)
    sys.argv, sys.orig_argv = ['-m', '--help'], ['python', '-m', name, '--help']
    said(name, lambda: importlib.import_module('training'))
""") == [f'{name} False []' for name in (
        'training.runs.peak_memory', 'training_of_mine.fit', 'training')]


@pytest.mark.slow
def test_the_help_of_what_ros2_run_starts_imports_no_torch():
    """Whatever is installed: a node that was asked for help was started, once."""
    names = ('emu_node', 'emu_multi', 'replay_camera', 'emu_run', 'emu_demo', 'emu_benchmark')
    assert lines_of(f"""
from emu_perception.commands import scripts
for name in {names}:
    sys.argv = [f'/install/lib/{{name}}', '--help']
    said(name, getattr(scripts, name))
""") == [f'{name} True []' for name in names]


@pytest.mark.slow
def test_the_help_of_a_tool_imports_no_torch():
    tools = sorted(path.name for path in (ROOT / 'tools').glob('*.py'))
    assert len(tools) > 5
    assert lines_of(f"""
sys.modules['ament_index_python'] = None  # Also where there is no ROS 2.
for name in {tools}:
    sys.argv = [f'tools/{{name}}', '--help']
    said(name, lambda: runpy.run_path(f'tools/{{name}}', run_name='__main__'))
""") == [f'{name} True []' for name in tools]
