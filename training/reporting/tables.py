# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Tables as data: what a cell says, and which is the best of its column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
import math

DASH = '–'


@dataclass(frozen=True)
class Column:
    """
    One metric.

    :ivar better: +1 higher, -1 lower, 0 neither is better.
    :ivar target: the value that is best; ``better`` is not read then.
    """

    title: str
    better: int = 0
    digits: int = 3
    target: float | None = None

    @property
    def heading(self) -> str:
        """Return the title with an arrow to where better is."""
        if self.target is not None:
            return f'{self.title} → {self.target:g}'
        return self.title + {1: ' ↑', -1: ' ↓', 0: ''}[self.better]

    def score(self, value: float | None) -> float | None:
        """Return a number that is higher where the value, as displayed, is better."""
        if value is None or (self.target is None and not self.better):
            return None
        shown = round(value, self.digits)
        if self.target is None:
            return self.better * shown
        return -round(abs(shown - self.target), self.digits)


@dataclass(frozen=True)
class Cell:
    """A value with its text."""

    value: float | None
    text: str
    best: bool = False


@dataclass(frozen=True)
class Row:
    """
    One line: its name, a smaller second line, a cell for each column.

    :ivar ranked: whether it may be the best.
    """

    name: str
    detail: str
    cells: tuple[Cell, ...]
    ranked: bool = True


@dataclass(frozen=True)
class Block:
    """Rows under one heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """
    Blocks of rows under columns.

    :ivar spans: (heading, number of columns), above the columns' own headings.
    """

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    spans: tuple[tuple[str, int], ...] = ()


def number(value: float | None, digits: int = 3) -> str:
    """Return a value with a fixed number of decimals, a dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f'{value:.{digits}f}'
    # No negative zero.
    return text[1:] if text.startswith('-') and not float(text) else text


def cells(columns: Sequence[Column], values: Sequence[float | None]) -> tuple[Cell, ...]:
    """Return the cells of a row."""
    return tuple(Cell(value, number(value, column.digits))
                 for column, value in zip(columns, values))


def mark_best(columns: Sequence[Column], blocks: Sequence[Block]) -> tuple[Block, ...]:
    """
    Mark the best cells of each column over all ranked rows.

    Values that are displayed alike are equally good; a column that is alike all over has no best.
    """
    ranked = [row for block in blocks for row in block.rows if row.ranked]
    tops: list[float | None] = []
    for i, column in enumerate(columns):
        scores = [score for row in ranked
                  if (score := column.score(row.cells[i].value)) is not None]
        tops.append(max(scores) if len(set(scores)) > 1 else None)

    def marked(row: Row) -> Row:
        if not row.ranked:
            return row
        return replace(row, cells=tuple(
            replace(cell, best=top is not None and column.score(cell.value) == top)
            for cell, column, top in zip(row.cells, columns, tops)))

    return tuple(replace(block, rows=tuple(marked(row) for row in block.rows))
                 for block in blocks)


def to_markdown(table: Table) -> str:
    """Return the table in Markdown, the best in bold."""
    groups = [text for text, width in table.spans for _ in range(width)]
    headings = [column.heading for column in table.columns]
    # Without the row of spans the same heading would stand for two tasks.
    headings = [f'{group}: {heading}' if headings.count(heading) > 1 else heading
                for group, heading in zip(groups or [''] * len(headings), headings)]
    return markdown(['', '', *headings], [
        ['' if i else block.title, row.name,
         *(f'**{cell.text}**' if cell.best else cell.text for cell in row.cells)]
        for block in table.blocks for i, row in enumerate(block.rows)], names=2)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """Return a table in Markdown; its columns after the first ``names`` are aligned right."""
    rule = '|' + '---|' * names + '---:|' * (len(headings) - names)
    return '\n'.join([_markdown_row(headings), rule, *map(_markdown_row, rows)]) + '\n'


def _markdown_row(texts: Sequence[str]) -> str:
    escaped = (' '.join(text.split()).replace('|', '\\|') for text in texts)
    return '| ' + ' | '.join(escaped) + ' |'
