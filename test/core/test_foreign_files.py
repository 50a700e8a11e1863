# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Text, names and folders as other systems leave them."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from emu_perception.foreign_files import decoded_text, holds_anything, is_litter, names_in
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'cp1252'])
def test_text_of_other_systems_is_read(encoding):
    assert decoded_text('classes: [Tür, Straße]\r\n'.encode(encoding)) == (
        'classes: [Tür, Straße]\r\n')


def test_a_list_of_names_has_one_on_each_line_with_its_spaces():
    for text in ('one\ntwo words\n\n', 'one\r\ntwo words \r\n', '\ufeffone\ntwo words'):
        assert names_in(text.encode(), lambda _: True) == ['one', 'two words']
    assert names_in('one\ntwo words'.encode('utf-16'), lambda _: False) == ['one', 'two words']


def test_names_in_no_utf_8_are_those_that_are_on_the_disk():
    """A list from another system names files in its bytes; they may have been copied as UTF-8."""
    raw = os.fsdecode('Tür'.encode('latin-1'))
    data = b'one\n' + 'Tür'.encode('latin-1')
    assert names_in(data, {'one', raw}.__contains__) == ['one', raw]
    assert names_in(data, {'one', 'Tür'}.__contains__) == ['one', 'Tür']
    assert names_in(data, lambda _: False) == ['one', 'Tür']


def test_litter_is_nobodys_data(tmp_path):
    for name in ('._0001.jpg', '.DS_Store', 'Thumbs.db', 'desktop.ini', '__MACOSX'):
        assert is_litter(name), name
        (tmp_path / name).touch()
    assert not holds_anything(tmp_path) and not is_litter('0001.jpg')
    (tmp_path / 'a').touch()
    assert holds_anything(tmp_path)


def test_no_path_is_handed_to_opencv_s_reader():
    """It dies of a name that is no UTF-8; bytes are read by Python and decoded in memory."""
    of_others = {ROOT / 'emu_perception/corruptions/photographs.py'}  # Of installed packages.
    for folder in ('emu_perception', 'training', 'tools'):
        for path in {*(ROOT / folder).rglob('*.py')} - of_others:
            calls = [node for node in ast.walk(ast.parse(path.read_text()))
                     if isinstance(node, ast.Attribute) and node.attr == 'imread']
            assert not calls, f'{path}:{calls[0].lineno}'
