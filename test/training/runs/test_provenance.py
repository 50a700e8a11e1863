# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint says of the code that made it is of that code."""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess

import pytest
from training.runs import provenance

pytestmark = pytest.mark.skipif(shutil.which('git') is None, reason='NOT TESTED: there is no git')


def repository(root: Path) -> str:
    """Make a repository with one commit; return it."""
    def git(*words: str) -> str:
        return subprocess.run(
            ['git', '-C', str(root), '-c', 'user.name=a', '-c', 'user.email=a@b', *words],
            check=True, capture_output=True, text=True).stdout.strip()
    git('init', '-q')
    git('add', '-A')
    git('commit', '-q', '--allow-empty', '-m', 'first')
    return git('rev-parse', '--short=12', 'HEAD')


def test_the_commit_is_never_that_of_the_users_own_repository(tmp_path, monkeypatch):
    """Installed and called from a robot's repository, a card named that one's commit."""
    theirs = repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert provenance.git_commit().removesuffix('+changes') != theirs
    # As in their .venv, inside of that repository.
    installed = tmp_path / 'provenance.py'
    shutil.copy(provenance.__file__, installed)
    monkeypatch.setattr(provenance, '__file__', str(installed))
    assert provenance.git_commit() == 'unknown'


def test_the_commit_is_that_of_the_repository_with_this_code_and_says_its_changes(
        tmp_path, monkeypatch):
    own = tmp_path / provenance._OWN_FILE
    own.parent.mkdir(parents=True)
    shutil.copy(provenance.__file__, own)
    (tmp_path / 'other.py').write_text('a = 1')
    commit = repository(tmp_path)
    monkeypatch.setattr(provenance, '__file__', str(own))
    assert provenance.git_commit() == commit
    (tmp_path / 'other.py').write_text('a = 2')
    assert provenance.git_commit() == f'{commit}+changes'
