# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""``| head``: who stops reading ends no command in a traceback, and no work half done."""

from __future__ import annotations

import io
import os
from pathlib import Path
import subprocess
import sys

from emu_perception.commands import emu
from emu_perception.commands.reader_leaves import reader_may_leave
import pytest

ROOT = Path(emu.__file__).parents[2]
EMU = ('-m', 'emu_perception.commands.emu')


def without_a_reader(*words: str, both: bool = False) -> tuple[int, str]:
    """Return exit code and stderr of Python whose stdout nobody has read from the beginning."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=writer, text=True,
                              stderr=writer if both else subprocess.PIPE)
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ''


@pytest.mark.parametrize('words', [
    (*EMU, '--help'), (*EMU, '--version'), (*EMU, 'study', '--help'), (*EMU, 'predict', '--help'),
    (*EMU, 'node', '--help'), (*EMU, 'train', '--fields'), (*EMU, 'nav2-layer', '--help'),
    ('-m', 'training.evaluate', '--help'), ('-m', 'training.prepare', 'check', '--help'),
    ('-c', 'import sys; from emu_perception.commands.scripts import emu_run; '
     'sys.argv[1:] = ["--help"]; sys.exit(emu_run())')], ids=' '.join)
def test_nothing_that_is_printed_ends_in_a_traceback(words):
    assert without_a_reader(*words) == (0, '')


def test_an_error_keeps_its_exit_code_where_nobody_reads_it():
    assert without_a_reader(*EMU, 'trian', both=True) == (2, '')


def test_the_work_goes_on_to_its_end(tmp_path):
    """What is written is whole: a run of hours is not lost for a line that nobody reads."""
    code = ('import pathlib, sys; from emu_perception.commands.reader_leaves import '
            'reader_may_leave\n'
            'with reader_may_leave():\n'
            '    for index in range(9):\n'
            '        print(index, flush=True); print(index, file=sys.stderr)\n'
            f'    pathlib.Path({str(tmp_path / "done")!r}).touch()\n'
            'print("the last word")')
    code += '\nsys.exit(3)'
    assert without_a_reader('-c', code, both=True) == (3, '')
    assert (tmp_path / 'done').exists()


def test_streams_are_those_of_before_afterwards_and_keep_their_ways(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding='ascii')
    monkeypatch.setattr(sys, 'stdout', out)
    with pytest.raises(KeyError), reader_may_leave():
        sys.stdout.reconfigure(errors='backslashreplace')
        print('\udc89', file=sys.stdout)
        assert sys.stdout.encoding == 'ascii' and not sys.stdout.isatty()
        raise KeyError
    assert sys.stdout is out and out.buffer.getvalue() == b'\\udc89\n'
