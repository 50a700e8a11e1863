# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What users read names the commands that they have.

``training`` is a name of the source tree alone: after ``pip install`` there is ``emu evaluate``,
and no ``training.evaluate``.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
import re

from emu_perception.commands.program import called_as
from emu_perception.commands.subcommands import OFFLINE, Subcommand, SUBCOMMANDS
import pytest

ROOT = Path(__file__).resolve().parents[2]
WITH_ARGUMENTS = [row for row in SUBCOMMANDS.values() if row.arguments]
COMMANDS = {row.module.removeprefix(f'{OFFLINE}.').removesuffix('.__main__')
            for row in SUBCOMMANDS.values() if row.module.startswith(OFFLINE)}
NAMED = re.compile(r'\btraining\.(' + '|'.join(sorted(map(re.escape, COMMANDS))) + r')\b(?!\.)')
OWN_NAME = re.compile(r'python -m training\.\w+')  # Of a program that nothing else has called.


@pytest.mark.parametrize('row', WITH_ARGUMENTS, ids=lambda row: row.name)
def test_the_help_of_a_subcommand_names_no_module(row: Subcommand, monkeypatch):
    monkeypatch.setattr('sys.argv', ['emu'])
    module = import_module(row.arguments.replace(OFFLINE, 'training'))
    with called_as(f'emu {row.name}'):
        try:
            parser = module.parser()
        except TypeError:  # Of what converts a data set, which is a parser for each kind.
            return
        said = parser.format_help()
    assert not NAMED.search(said), said
    for elsewhere in ('python -m emu_perception.commands', 'python -m training', 'emu_demo',
                      'emu_benchmark'):
        assert elsewhere not in said, said


def spoken(tree: ast.Module) -> list[tuple[int, str]]:
    """Return line and text of each string that is no docstring."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [(node.lineno, node.value) for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and id(node) not in docstrings]


@pytest.mark.parametrize('package', ['emu_perception', 'training'])
def test_no_message_names_a_module_of_the_tree(package):
    found = [f'{path}:{line}: {text}' for path in sorted((ROOT / package).rglob('*.py'))
             for line, text in spoken(ast.parse(path.read_text()))
             if NAMED.search(text) and ' ' in text and not OWN_NAME.fullmatch(text)
             and not path.match('fusion/constants.py')]  # The command that wrote them, as it was.
    assert not found
