# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the documents for contributors name is there, and the code they show is the code."""

from __future__ import annotations

from pathlib import Path
import re
import subprocess

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / 'CONTRIBUTING.md', ROOT / 'docs/architecture.md']
PAGES = sorted({ROOT / 'README.md', *DOCUMENTS, *(ROOT / 'docs').glob('*.md'),
                *(ROOT / 'examples').rglob('*.md'), *(ROOT / 'models').glob('*.md')})
# What appears only when it is run, or is somebody's own.
MADE = {'out/soak', 'out/site'}


@pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_is_named_is_there(document):
    named = re.findall(r'`((?:[\w.]+/)+[\w.]*)`', document.read_text())
    assert len(named) > 10
    for path in named:
        assert path in MADE or (ROOT / path).exists(), f'{document.name} names {path}'


def anchors(page: Path) -> set[str]:
    """Return what a page's headings can be linked to as, on GitHub."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    titles = [re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', title)
              for title in re.findall(r'^#+ (.*)', text, re.M)]
    return {re.sub(r'[^\w\- ]', '', title).strip().lower().replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
        if target.startswith(('http', 'mailto:')):
            continue
        path, _, anchor = target.partition('#')
        file = page.parent / path if path else page
        assert file.exists(), f'{page.name} links to {target}'
        assert not anchor or anchor in anchors(file), f'{page.name} links to {target}'


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_a_word_that_stands_for_what_was_to_come(page):
    left = re.findall(r'^(?:[A-Z_]{4,}|.*\b(?:TODO|FIXME|TBD)\b.*)$', page.read_text(), re.M)
    assert not left, f'{page.name}: {left}'


def test_code_that_is_shown_is_in_the_file_it_names():
    blocks = re.findall(r'```python\n# (\S+)\n(.*?)```', DOCUMENTS[0].read_text(), re.S)
    assert len(blocks) >= 3
    for path, code in blocks:
        assert code.rstrip() in (ROOT / path).read_text(), f'{path} is not what is shown of it'


def test_targets_of_make_that_are_named_exist():
    known = set(re.findall(r'^(\w+):', (ROOT / 'Makefile').read_text(), re.M))
    for document in DOCUMENTS:
        wanted = set(re.findall(r'\bmake (\w+)(?:[` ]|$)', document.read_text(), re.M))
        assert wanted <= known, wanted - known


def test_the_quick_tests_leave_out_what_the_document_says():
    text = subprocess.run(['make', '-n', 'quick'], cwd=ROOT, capture_output=True, text=True).stdout
    left_out = set(re.findall(r'not (\w+)', text))
    said = (ROOT / 'CONTRIBUTING.md').read_text().split('`make quick` leaves out', 1)[1]
    assert left_out == set(re.findall(r'`(\w+)`', said.split(';', 1)[0])) == {
        'slow', 'ros', 'system', 'gpu'}


@pytest.mark.parametrize('page', PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_stands_for_one_that_was_to_be_written(page):
    """``COSTLINE`` stood in a page where the cost was to come."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    for line in text.splitlines():
        assert not re.fullmatch(r'[A-Z][A-Z_0-9]{3,}', line.strip()), f'{page.name}: {line}'
        assert not re.search(r'\b(TODO|FIXME|XXX|TBD)\b', line), f'{page.name}: {line}'


def test_the_kinds_of_bad_input_that_are_promised_are_those_of_the_table():
    promised = re.search(r'with (\d+) kinds of bad input', (ROOT / 'README.md').read_text())
    rows = re.findall(r'^\| (?!case )', (ROOT / 'docs/bad_inputs.md').read_text(), re.M)
    assert promised and int(promised[1]) == len(rows)
