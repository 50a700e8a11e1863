# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What options say a second time, so that --help brings no torch, is what commands have."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from emu_perception.benchmarking import arguments as benchmarking
from emu_perception.commands import read_first
from emu_perception.commands.emu import module_name
from emu_perception.commands.subcommands import SUBCOMMANDS
from emu_perception.errors import InputError
from emu_perception.precisions import DTYPES
import pytest
from training import benchmark, compare
from training.arguments.benchmark import WHAT
from training.arguments.compare import KEYS
from training.arguments.evaluate import SAMPLED
from training.methods import ensemble
from training.prepare import __main__ as prepare
from training.recipes.options import RecipeError
from training.recipes.recipe import Recipe


@pytest.mark.parametrize('words', [
    ['bag', 'recording', '--out', 'out'],  # Lacks the topics.
    ['bag', 'b', '--image-topic', '/i', '--depth-topic', '/d', '--out', 'o', '--every', 'two']])
def test_what_is_wrong_with_a_converters_line_is_one_line(capsys, words):
    """Of prepare bag the usage has ten lines, above what is wrong."""
    with pytest.raises(SystemExit) as end:
        prepare.main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count('\n') == 1
    assert ' bag: error: ' in said and said.endswith(' bag --help lists the options)\n')


# Options that take a file or a folder, and those that say by themselves what they want.
EITHER = {'BAG', 'INPUT', 'FOLDER|FILE', 'DIR|FILE', 'NAME|FILE', 'TWIN'}


def path_options(parser):
    """Yield the parser of each command in a parser, and its options that name a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from path_options(command)
        elif action.type is Path or action.dest == 'data':
            yield parser, action


@pytest.mark.parametrize('name', [row.name for row in SUBCOMMANDS.values() if row.arguments])
def test_a_file_for_a_folder_and_a_folder_for_a_file_are_one_line(name, tmp_path):
    """Of --results FILE emu compare said "File exists"."""
    (tmp_path / 'file').touch()
    parser = import_module(module_name(SUBCOMMANDS[name].arguments)).parser()
    for command, action in path_options(parser):
        option = max(action.option_strings, key=len, default='')
        if action.metavar in EITHER or action.dest in read_first._CHECKPOINTS:
            continue
        wants_folder = action.metavar in read_first._FOLDERS
        assert wants_folder or action.metavar in read_first._FILES, (name, option, action.metavar)
        given = tmp_path / 'file' if wants_folder else tmp_path
        words = 'is a file; give a folder' if wants_folder else 'is a folder; give the name of'
        with pytest.raises(InputError, match=f'^{option} ?{given}: {words}'):
            read_first.check_kinds(command, argparse.Namespace(**{action.dest: given}))
        for good in (tmp_path if wants_folder else tmp_path / 'file', tmp_path / 'new', None):
            read_first.check_kinds(command, argparse.Namespace(**{action.dest: [good]}))


def test_a_file_where_results_or_runs_would_go_is_one_line(tmp_path, synthetic, capsys):
    """Whoever calls the command itself is told as well."""
    (tmp_path / 'file').touch()
    for option, words in ((['--results', f'{tmp_path}/file'], f'--results {tmp_path}/file: '),
                          ([f'output={tmp_path}/file'], 'field output: ')):
        assert compare.main(['--recipe', 'robot', '--data', str(synthetic), *option]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert words in error and f'{tmp_path}/file is a file, not a folder; give' in error
    with pytest.raises(RecipeError, match="field 'output' is .*file is a file, not a folder"):
        read_first.read_first('training.arguments.fit', [
            '--recipe', 'robot', '--data', str(synthetic), '--output', f'{tmp_path}/file'])


def test_names_in_the_options_are_the_commands_own():
    assert tuple(row.key for row in compare.rows(Recipe(), 2)) == KEYS
    assert benchmark.WHAT == WHAT
    assert ensemble.SAMPLED == SAMPLED
    assert tuple(DTYPES) == benchmarking.PRECISIONS
