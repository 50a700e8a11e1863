# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Mean and spread of what was trained several times, with nothing but the seeds different."""

from __future__ import annotations

from collections.abc import Sequence
import statistics

from .results import Result
from .tables import Block, Cell, Column, number, Row, Table


def seed_table(results: Sequence[Result], table: Table) -> Table | None:
    """
    Return a table with one row a training, mean ± standard deviation over its seeds (n - 1).

    :param table: of the results, a row each by their labels; its columns are taken.
    :return: None where nothing was trained twice.
    """
    rows = {row.name: row for block in table.blocks for row in block.rows}
    groups: dict[tuple[object, ...], dict[tuple[object, ...], Result]] = {}
    for result in results:
        document = result.document
        seeds = tuple(document.get('seeds') or ())
        if document.get('trained_as') and seeds and None not in seeds:
            # The same seeds twice are one training, measured twice.
            groups.setdefault((document['trained_as'], result.method, document.get('samples'),
                               result.policy), {}).setdefault(seeds, result)
    several = [list(group.values()) for group in groups.values() if len(group) > 1]
    if not several:
        return None
    return Table(table.columns, (Block('', tuple(
        _row(group, [rows[result.label] for result in group], table.columns)
        for group in several)),), table.spans)


def _row(group: Sequence[Result], rows: Sequence[Row], columns: Sequence[Column]) -> Row:
    return Row(f'{group[0].model}, {group[0].method}',
               f'{len(group)} trainings: ' + ', '.join(result.label for result in group), tuple(
                   _cell([row.cells[i].value for row in rows], column.digits)
                   for i, column in enumerate(columns)))


def _cell(values: Sequence[float | None], digits: int) -> Cell:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return Cell(None, number(None))
    mean = statistics.fmean(known)
    return Cell(mean, f'{number(mean, digits)} ± {number(statistics.stdev(known), digits)}')
