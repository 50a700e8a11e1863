# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How many runs fit side by side."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from training.recipes.options import build, RecipeError
from training.recipes.recipe import Recipe
from training.runs import peak_memory
from training.runs.peak_memory import side_by_side, that_fit


def test_members_side_by_side_are_as_many_as_fit():
    assert that_fit(140 * 10**9, 10 * 10**9) == 12
    assert that_fit(8 * 10**9, 10 * 10**9) == 1, 'one is always tried'


@pytest.mark.parametrize(('code', 'words'), [
    ('import os, signal; os.kill(os.getpid(), signal.SIGKILL)', 'was ended by SIGKILL and said'),
    ('raise SystemExit(3)', 'ended with code 3 and said nothing'),
    ('raise SystemExit("error: no val.txt")', 'error: no val.txt'),
    ('print("no bytes")', 'ended with code 0 and said nothing'),
    ('', 'ended with code 0 and said nothing')])
def test_a_trial_that_dies_without_a_word_is_one_clear_line(monkeypatch, code, words):
    """The machine's memory is short: it is killed, and there is no last line to give."""
    run = subprocess.run

    def instead(command: list[str], **more: Any) -> Any:
        return run([sys.executable, '-c', code], **more)
    monkeypatch.setattr(peak_memory.subprocess, 'run', instead)
    monkeypatch.setattr(peak_memory.torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(peak_memory.torch.cuda, 'mem_get_info', lambda: (10**10, 10**10))
    with pytest.raises(RecipeError) as error:
        side_by_side('auto', build(Recipe, {'data': 'd'}, 'test'))
    text = str(error.value)
    assert words in text and '\n' not in text and '--parallel 1' in text
