# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation as a table of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SECTIONS = ('segmentation', 'instance', 'depth', 'inverse_depth')
_COLUMNS = ('', 'figure', 'measured', 'trivial')


def figure_table(result: Mapping[str, Any]) -> str:
    """
    Return a line for each single figure, beside it that of the trivial baseline if measured.

    :param result: of ``training.evaluate``.
    """
    rows = [_COLUMNS, *_rows(result)]
    if not result.get('trivial'):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join('  '.join(
        cell.rjust(width) if index > 1 else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    trivial = result.get('trivial') or {}
    for section in SECTIONS:
        shown = section
        for name, value in (result.get(section) or {}).items():
            if value is None or isinstance(value, (int, float, str)):
                yield shown, name, _text(value), _text((trivial.get(section) or {}).get(name, ''))
                shown = ''


def _text(value: Any) -> str:
    if value is None:
        return 'not defined'
    return f'{value:.4g}' if isinstance(value, float) else str(value)
