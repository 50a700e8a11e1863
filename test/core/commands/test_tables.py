# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A table says every heading and figure whole, on a narrow terminal too."""

from __future__ import annotations

from emu_perception.commands.tables import WholeTable
import pytest

HEADINGS = ('kind', 'unfamiliarity', 'predicted failure', 'relative depth sigma')


@pytest.mark.parametrize('columns', ['20', '80', '200'])
def test_no_heading_and_no_figure_is_cut_short(columns, monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', columns)
    WholeTable(HEADINGS, [('no room', '2.93', '0.69', '123456789.123456789')],
                            title='by kind', left=('kind',)).print()
    said = capsys.readouterr().out
    assert '…' not in said
    for word in ' '.join(HEADINGS).split() + ['no room', '2.93', '0.69', '123456789.123456789']:
        assert word in said, said


def test_a_class_named_like_markup_keeps_its_name(capsys):
    WholeTable(('class',), [('[bold]',)], title='[red] folder').print()
    said = capsys.readouterr().out
    assert '[bold]' in said and '[red]' in said


def test_a_table_without_rows_prints(capsys):
    WholeTable(('split', 'images'), [], title='nothing').print()
    assert 'images' in capsys.readouterr().out
