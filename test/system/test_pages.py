# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Every command on every page is one, with options that exist; those marked runnable run."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import io
import json
from pathlib import Path
import re
import shlex

import cv2
from emu_perception.backends import registry
from emu_perception.commands import emu
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md')),
         *sorted((ROOT / 'examples').rglob('*.md'))]
RUN = '<!-- run -->'


def blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield the indented blocks of a page: whether it is marked runnable, and its lines."""
    for found in re.finditer(r'((?:^ {4}.*\n|^\n(?= {4}))+)', text, re.M):
        before = text[:found.start()].rstrip()
        lines = found[1].strip('\n').splitlines()
        yield before.endswith(RUN), [line[4:] for line in lines]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each emu command, in blocks and in the running text."""
    joined = [re.sub(r'\\\n\s*', ' ', '\n'.join(lines)) for _, lines in blocks(text)]
    lines = [line for block in joined for line in block.splitlines()]
    spans = [' '.join(span.split()) for span in re.findall(r'`(emu [^`]+)`', text)]
    for line in [*lines, *spans]:
        for part in re.split(r'&&|;', line.split('#')[0]):
            if part.strip().startswith('emu '):
                yield shlex.split(part.replace('...', ''))[1:]


def spelled_out() -> dict[str, list[list[str]]]:
    """Return the commands of all pages by subcommand, and those that are none under ''."""
    found: dict[str, list[list[str]]] = {}
    for page in PAGES:
        for words in commands(page.read_text()):
            row, rest = emu.found(words)
            known = row is not None or words[0] in ('--help', '--version', 'COMMAND', 'study')
            found.setdefault(row.name if row else '' if not known else '--help', []).append(
                [page.name, *words] if row is None else rest)
    return found


def help_of(name: str) -> str:
    """Return what a subcommand says of itself."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        assert emu.main([*name.split(), '--help']) == 0
    return said.getvalue()


def test_every_command_on_a_page_is_one():
    found = spelled_out()
    assert '' not in found, found['']
    assert {'predict', 'train', 'doctor', 'export', 'prepare'} <= found.keys()


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(spelled_out().keys() - {'', '--help', 'prepare', 'node',
                                                                'replay', 'multi'}))
def test_every_option_on_a_page_exists(name):
    known = help_of(name)
    fields = help_of('train --fields') if 'field=value' in known else ''
    for words in spelled_out()[name]:
        for word in words:
            option = word.split('=')[0]
            if word.startswith('--'):
                assert option in known, f'emu {name} has no {option}'
            elif re.match(r'[a-z_.]+=', word) and fields:
                assert f' {option} =' in fields, f'emu {name}: a recipe has no field {option}'


def runnable() -> list[object]:
    """Return the blocks that are marked, by page and first line."""
    return [pytest.param(lines, id=f'{page.stem}: {lines[0][:40]}') for page in PAGES
            for marked, lines in blocks(page.read_text()) if marked]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an otherwise empty folder with what the pages call room.jpg and photos."""
    place = tmp_path_factory.mktemp('empty')
    picture = cv2.imread(str(ROOT / 'docs/panel.jpg'))[26:346, :480]
    (place / 'photos').mkdir()
    for name in ('room.jpg', 'photos/a.jpg', 'photos/b.jpg'):
        cv2.imwrite(str(place / name), picture)
    return place


@pytest.fixture
def on_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be compiled: that the commands run is asked here, not on which backend."""
    monkeypatch.setattr(registry, 'is_installed', lambda name: name == 'eager')


@pytest.mark.slow
@pytest.mark.parametrize('lines', runnable())
@pytest.mark.usefixtures('on_pytorch')
def test_what_is_marked_runs_as_it_is_printed(lines, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if not lines[0].startswith('emu '):
        exec(compile('\n'.join(lines), 'page', 'exec'), {})
        return
    for line in lines:
        words = shlex.split(line.split('#')[0])
        assert emu.main(words[1:]) == 0, capsys.readouterr().err


def test_there_are_marked_blocks_on_the_pages_that_teach():
    assert len(runnable()) >= 5


def test_every_page_is_linked_from_the_readme_or_from_a_page_that_is():
    reached, waiting = set(), [ROOT / 'README.md']
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == '.md' and page.is_file():
            reached.add(page)
            waiting += [(page.parent / link).resolve()
                        for link in re.findall(r'\]\(([^)#:]+)', page.read_text())]
    assert {*PAGES} <= reached, {*PAGES} - reached


@pytest.mark.slow
@pytest.mark.parametrize('file', sorted((ROOT / 'examples').rglob('*.ipynb')),
                         ids=lambda path: path.name)
@pytest.mark.usefixtures('on_pytorch')
def test_a_notebook_runs_from_its_first_cell_to_its_last(file, folder, monkeypatch):
    monkeypatch.chdir(folder)
    cells = json.loads(file.read_text())['cells']
    names: dict[str, object] = {}
    for cell in cells:
        if cell['cell_type'] == 'code':
            assert not cell['outputs'], 'a notebook is kept without what it has printed'
            exec(compile(''.join(cell['source']), file.name, 'exec'), names)
    assert hasattr(names['prediction'], '_repr_png_') and (folder / 'out/notebook').is_dir()
