# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""All figures of the default model have the command that makes them anew, and it can be given."""

from __future__ import annotations

import importlib
from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import shlex
import sys
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
# Of the making of a model, each once: its recipe, calibration and card (CONTRIBUTING.md).
MADE = 'results/emu_default/'


@pytest.fixture
def tool() -> ModuleType:
    """Return tools/remeasure.py, which is a program."""
    spec = spec_from_file_location('remeasure', ROOT / 'tools/remeasure.py')
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules['remeasure'] = module  # A dataclass looks its module up.
    spec.loader.exec_module(module)
    return module


def test_no_figure_of_the_default_model_is_without_its_command(tool):
    written = {file for step in tool.STEPS.values() for file in step.writes}
    for path in sorted(ROOT.glob('results/*/*.json')):
        document = json.loads(path.read_text())
        command = document.get('command') if isinstance(document, dict) else None
        name = str(path.relative_to(ROOT))
        if isinstance(command, str) and tool.MODEL in command and not name.startswith(MADE):
            assert name in written, f'{name} is written by no step: {command}'
    missing = [file for file in written if not (ROOT / file).exists()]
    assert not missing, 'a step writes elsewhere than the repository has it'


def test_every_command_is_one_that_its_program_takes(tool):
    folders = dict.fromkeys(('data', 'd435', 'realsense', 'stereo'), 'x')
    for name, step in tool.STEPS.items():
        program, *rest = shlex.split(step.command.format(**folders))
        if program != '-m':
            assert (ROOT / program).exists(), name
        elif rest[0].startswith('training.'):
            importlib.import_module(rest[0]).parser().parse_args(rest[1:])


def scripted(tool, monkeypatch, tmp_path, **commands):
    """Let the tool have these commands, a repository of its own and a model in it."""
    (tmp_path / 'models').mkdir()
    (tmp_path / tool.MODEL).write_bytes(b'weights')
    monkeypatch.setattr(tool, 'ROOT', tmp_path)
    monkeypatch.setattr(tool, 'STEPS', commands)


def appending(tool, name, **more):
    return tool.Step(f"-c \"open('said', 'a').write('{name} ')\"", **more)


def said(tmp_path):
    return (tmp_path / 'said').read_text().split() if (tmp_path / 'said').exists() else []


def test_what_is_done_for_this_model_is_not_done_again(tool, monkeypatch, tmp_path):
    scripted(tool, monkeypatch, tmp_path, first=appending(tool, 'first'),
             times=appending(tool, 'times', alone=True))
    assert tool.main([]) == 0 and said(tmp_path) == ['first', 'times']
    assert tool.main([]) == 0 and said(tmp_path) == ['first', 'times']
    (tmp_path / tool.MODEL).write_bytes(b'other weights')
    assert tool.main(['--jobs', '1']) == 0 and said(tmp_path) == ['first', 'times'] * 2


def test_what_fails_is_named_and_nothing_is_made_of_it(tool, monkeypatch, tmp_path, capsys):
    scripted(tool, monkeypatch, tmp_path, fails=tool.Step('-c "raise SystemExit(3)"'),
             made_of_it=appending(tool, 'made_of_it', after='fails'),
             needs=appending(tool, '{data}'), other=appending(tool, 'other'))
    assert tool.main(['--jobs', '1']) == 1 and said(tmp_path) == ['other']
    captured = capsys.readouterr()
    assert 'failed: fails, made_of_it' in captured.err and 'fails.log' in captured.err
    assert 'left out: needs, which needs --data' in captured.out
    assert tool.main(['--data', 'given', '--only', 'needs']) == 0
    assert said(tmp_path) == ['other', 'given']
