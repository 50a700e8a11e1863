# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a training frees it takes again without asking the system; others stay as they are."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path
import subprocess
import sys

import pytest
from training import command_line

ROOT = Path(__file__).parents[3]
BLOCK_MB, BLOCKS = 64, 20
PROGRAM = f"""
import resource, sys
import torch
from training.runs.heap import keep_freed_memory
if sys.argv[1] == 'kept' and not keep_freed_memory():
    sys.exit(3)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range({BLOCKS}):
    torch.empty({BLOCK_MB} << 18).fill_(1.0)  # As the maps of a step are.
print(faults() - before)
"""


def faults(how: str) -> int:
    """Return the pages that a process asks the system for, to fill blocks one after another."""
    done = subprocess.run([sys.executable, '-c', PROGRAM, how], capture_output=True, text=True,
                          cwd=ROOT)
    if done.returncode == 3:
        pytest.skip('NOT TESTED: this C library has no mallopt')
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_a_block_that_was_freed_is_not_asked_for_again():
    # Each block's pages every time, or those of the first few, until the heap has its size.
    assert faults('kept') < faults('plain') / 2


@pytest.mark.parametrize(('main', 'changes'), [
    ('training.fit', True), ('training.studies.trust', True), ('pytest.__main__', False),
    (None, False)])
def test_only_a_training_command_changes_its_process(monkeypatch, main, changes):
    called = []
    monkeypatch.setattr(command_line, 'keep_freed_memory', lambda: called.append(True))
    monkeypatch.setattr(sys.modules['__main__'], '__spec__',
                        None if main is None else ModuleSpec(main, None))
    assert command_line.run(lambda: None) == 0 and bool(called) == changes
