# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of a report: main, beside the paper's, by policy, further metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..metrics.certainty_cells import CERTAINTY
from . import paper_tables
from .paper_tables import PaperRow
from .results import DEPTH, finite, FROM_OTHERS, METHODS, Result, SEGMENTATION
from .tables import Block, Cell, cells, Column, mark_best, number, Row, Table

PAPER_POLICY = ('as_inaccurate', 'mean')
_VOIDS = {'exclude': 'left out', 'as_inaccurate': 'as inaccurate'}
POLICIES = tuple((void, threshold) for void in _VOIDS for threshold in ('mean', 'median'))
_CERTAINTY = (Column('p(a|c)', 1), Column('p(u|i)', 1), Column('PAvPU', 1))
_MAIN = (Column('mIoU', 1), Column('ECE', -1), *_CERTAINTY,
         Column('RMSE [m]', -1), *_CERTAINTY,
         Column('time [ms]', -1, 1), Column('params [M]', -1, 2))
_SPANS = (('Segmentation', 5), ('Depth', 4), ('Cost', 2))
_RANKING = (('ause', Column('AUSE', -1)), ('auroc', Column('AUROC', 1)),
            ('average_precision', Column('AP', 1)), ('fpr95', Column('FPR95', -1)))
# Heading, task, and metrics with their columns.
FURTHER = (
    ('Segmentation', SEGMENTATION, (
        ('pixel_accuracy', Column('pixel accuracy', 1)), ('ece_10', Column('ECE, 10 bins', -1)),
        ('nll', Column('NLL [nats]', -1)), ('brier', Column('Brier', -1)), *_RANKING,
        ('rss', Column('RSS', 1)), ('classes_counted', Column('classes counted', 0, 0)))),
    ('Depth', DEPTH, (
        ('abs_rel', Column('abs rel', -1)), ('silog', Column('SILog [%]', -1)),
        ('delta1', Column('δ1', 1)), ('delta2', Column('δ2', 1)), ('delta3', Column('δ3', 1)),
        ('rmse_per_image', Column('RMSE by image [m]', -1)),
        ('abs_rel_per_image', Column('abs rel by image', -1)),
        ('delta1_per_image', Column('δ1 by image', 1)))),
    ('Uncertainty of depth', DEPTH, (
        ('nll', Column('NLL [nats]', -1)),
        *((f'coverage_{percent}', Column('coverage', target=percent / 100))
          for percent in (50, 80, 90, 95)),
        ('calibration_error', Column('calibration error', -1)), *_RANKING)))


def main_table(results: Sequence[Result]) -> Table:
    """Return the main table in the paper's layout, each row under its file's own policy."""
    return _table(_MAIN, [*_grouped(
        results, lambda result: _main_row(result, results, result.policy)),
                          *_trivial(results)], _SPANS)


def paper_table(results: Sequence[Result], data_set: str) -> Table:
    """
    Return ours under the paper's policy above the paper's rows; the best of each block is marked.

    :param data_set: the paper's name of it.
    """
    blocks = [Block('This report, void as inaccurate, threshold mean', tuple(
        _main_row(result, results, PAPER_POLICY, f'{result.group}: ')
        for result in results))]
    for backbone in paper_tables.BACKBONES:
        rows = paper_tables.comparison_rows(data_set, backbone)
        numbers = sorted({row.table for row in rows})
        tables = f'table{"s" if len(numbers) > 1 else ""} {" and ".join(map(str, numbers))}'
        blocks.append(Block(
            f'The paper, {tables}: MiT-{backbone}, times on an {paper_tables.SOURCE.device}',
            tuple(_paper_row(row) for row in rows)))
    marked = [mark_best(_MAIN, [block])[0] for block in blocks]
    return Table(_MAIN, tuple(marked), _SPANS)


def policy_table(results: Sequence[Result]) -> Table:
    """Return p(a|c), p(u|i) and PAvPU under each policy for pixels without truth and threshold."""
    blocks: list[Block] = []
    for policy in POLICIES:
        rows = tuple(
            Row(result.label, '', cells(_CERTAINTY * 2, [
                result.certainty(task, name, policy) for task in (SEGMENTATION, DEPTH)
                for name in CERTAINTY])) for result in results)
        title = f'Void {_VOIDS[policy[0]]}, threshold {policy[1]}'
        blocks += mark_best(_CERTAINTY * 2, [Block(title, rows)])
    return Table(_CERTAINTY * 2, tuple(blocks), ((_SPANS[0][0], 3), (_SPANS[1][0], 3)))


def further_tables(results: Sequence[Result]) -> list[tuple[str, Table]]:
    """Return (heading, table) of the other metrics, of those that any result has."""
    found = []
    for heading, task, metrics in FURTHER:
        measured = [result for result in results
                    if any(result.figure(task, key) is not None for key, _ in metrics)]
        chosen = [(key, column) for key, column in metrics
                  if any(result.figure(task, key) is not None for result in measured)]
        columns = tuple(column for _, column in chosen)

        def row(result: Result, task: str = task, columns: tuple[Column, ...] = columns,
                keys: tuple[str, ...] = tuple(key for key, _ in chosen)) -> Row:
            return Row(result.label, '', cells(columns, [result.figure(task, key)
                                                         for key in keys]))

        if chosen:
            found.append((heading, _table(columns, [Block('', tuple(map(row, measured)))])))
    return found


def _table(columns: tuple[Column, ...], blocks: Sequence[Block],
           spans: tuple[tuple[str, int], ...] = ()) -> Table:
    return Table(columns, mark_best(columns, blocks), spans)


def _grouped(results: Sequence[Result], row: Callable[[Result], Row]) -> list[Block]:
    blocks = [Block(title, tuple(row(result) for result in results if result.group == title))
              for title in (*METHODS.values(), FROM_OTHERS)]
    return [block for block in blocks if block.rows]


def _detail(result: Result, results: Sequence[Result]) -> str:
    """Return what the name does not say, and the page's head not for all rows."""
    parts = [] if result.model in result.label else [result.model]
    if len({other.document.get('encoder') for other in results}) > 1:
        parts.append(str(result.document.get('encoder') or ''))
    samples = result.document.get('samples')
    if isinstance(samples, int) and not result.single_pass:
        parts.append(f'{samples} samples')
    ways = [way for way in result.document.get('made_by') or () if way != result.method]
    if len(ways) == 1 and result.single_pass:  # Of a network that goes on from others.
        parts.append(str(ways[0]))
    return ', '.join(part for part in parts if part)


def _main_row(result: Result, results: Sequence[Result], policy: tuple[str, str],
              prefix: str = '') -> Row:
    values = [result.figure(SEGMENTATION, 'miou'), result.figure(SEGMENTATION, 'ece'),
              *(result.certainty(SEGMENTATION, name, policy) for name in CERTAINTY),
              result.figure(DEPTH, 'rmse'),
              *(result.certainty(DEPTH, name, policy) for name in CERTAINTY)]
    time = result.document.get('inference_ms') or {}
    parameters = finite(result.document.get('parameters'))
    # 'DSE: DSE' says nothing that 'DSE' does not.
    name = result.label if result.label.startswith(prefix[:-2]) else prefix + result.label
    return Row(name, _detail(result, results), (
        *cells(_MAIN, values), _time(finite(time.get('mean')), finite(time.get('std'))),
        *cells(_MAIN[-1:], [None if parameters is None else parameters / 1e6])))


def _paper_row(row: PaperRow) -> Row:
    values = [row.miou, row.ece, row.segmentation_p_accurate_given_certain,
              row.segmentation_p_uncertain_given_inaccurate, row.segmentation_pavpu, row.rmse,
              row.depth_p_accurate_given_certain, row.depth_p_uncertain_given_inaccurate,
              row.depth_pavpu]
    name = row.group if row.group == row.model else f'{row.group}: {row.model}'
    return Row(name, '', (
        *cells(_MAIN, values), _time(row.time_mean_ms, row.time_std_ms),
        *cells((Column('', 0, 1),), [paper_tables.paper_parameters_m(row)])))


def _time(mean: float | None, std: float | None) -> Cell:
    return Cell(mean, number(mean, 1) + ('' if mean is None or std is None
                                         else f' ± {number(std, 1)}'))


def _trivial(results: Sequence[Result]) -> list[Block]:
    for result in results:
        trivial = result.document.get('trivial')
        if trivial:
            figures = [(trivial.get(task) or {}).get(name) for task, name in
                       ((SEGMENTATION, 'miou'), (DEPTH, 'rmse'))]
            values: list[float | None] = [None] * len(_MAIN)
            values[0], values[5] = (finite(value) for value in figures)
            return [Block('Trivial', (Row('no network', 'the commonest class everywhere; the mean '
                                          'depth map of the training images',
                                          cells(_MAIN, values), ranked=False),))]
    return []
