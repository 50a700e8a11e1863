# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Table and figures of ``training.studies.weights``, from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from .noise_curves import noise_curves
from .style import new_figure, styled, TASK_COLORS
from .tables import markdown


class Measure(NamedTuple):
    """How a figure of the study is shown: in the weights' columns, heading, factor, decimals."""

    short: str
    heading: str
    factor: float
    digits: int


_TASKS = {'segmentation': Measure('Seg.', 'Segmentation IoU [%]', 100, 1),
          'instance': Measure('Inst.', 'Instance mean error [px]', 1, 2),
          'depth': Measure('Depth', 'Inverse depth mean error [{unit}]', 1, 4)}
_AP = Measure('', 'AP [%]', 100, 1)
_NAMES = {'equal': 'Unweighted sum of losses', 'fixed': 'Weights from the best of both grids'}
_ORDER = ('single', 'equal', 'fixed', 'learned', 'start')
# One trial of the study, over its seeds.
Row = Mapping[str, Any]


def table(rows: Sequence[Row], unit: str) -> str:
    """Return the tables as Markdown, the first with the columns of the paper's Table 1."""
    seeds = len(rows[0]['seeds'])
    measures = {**_TASKS, **({'ap': _AP} if any('ap' in row['mean'] for row in rows) else {})}
    headings = [*(measure.short for measure in _TASKS.values()),
                *(measure.heading.format(unit=unit) for measure in measures.values())]
    chosen = sorted((row for row in rows if row['group'] in _ORDER),
                    key=lambda row: _ORDER.index(row['group']))
    text = (f'Mean of {seeds} seed{"s" if seeds > 1 else ""}'
            + (', ± half the range between them.' if seeds > 1 else '.')
            + ' Learned: the weight at the end, as a share of all.\n\n'
            + markdown(['Loss', *headings], [[_title(row), *_cells(row, measures)]
                                             for row in chosen]))
    grids = [row for row in rows if row['group'] == 'grid']
    if grids:
        text += '\nThe grids (Figure 2):\n\n' + markdown(
            ['Pair', *headings], [[' + '.join(row['tasks']), *_cells(row, measures)]
                                  for row in grids])
    return text


def _title(row: Row) -> str:
    if row['group'] == 'single':
        return f'{row["tasks"][0].capitalize()} only'
    if row['group'] == 'start':
        return f'3 task uncertainty weighting, s from {row["initial_s"]:g}'
    return _NAMES.get(row['group'], f'{len(row["tasks"])} task uncertainty weighting')


def _cells(row: Row, measures: Mapping[str, Measure]) -> list[str]:
    total = sum(row['weights'].values())
    cells = []
    for task in _TASKS:
        share = row['weights'].get(task, 0.0) / total
        cells.append('0' if task not in row['tasks'] else
                     f'{share:.3g}' if row['initial_s'] is None else f'✓ ({share:.3g})')
    for name, (_, _, factor, digits) in measures.items():
        values = [factor * run[name] for run in row['seeds'] if name in run]
        spread = f' ± {(max(values) - min(values)) / 2:.{digits}f}' if len(values) > 1 else ''
        cells.append(f'{factor * row["mean"][name]:.{digits}f}{spread}' if values else '-')
    return cells


@styled
def pair_figure(rows: Sequence[Row], pairs: Sequence[tuple[str, str]], unit: str) -> Figure:
    """
    Return the paper's Figure 2: both tasks' performance over the weight of the first.

    Dotted: each task alone. Dashed with a star: learned weights, at the share they end at.
    """
    figure = new_figure(5.2 * len(pairs), 4.0)
    for left, pair in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs):
        right = left.twinx()
        grid = sorted((row for row in rows if row['group'] == 'grid'
                       and tuple(row['tasks']) == tuple(pair)),
                      key=lambda row: row['weights'][pair[0]])
        learned = next(row for row in rows if row['group'] == 'learned'
                       and tuple(row['tasks']) == tuple(pair))
        for axes, task in ((left, pair[0]), (right, pair[1])):
            factor, color = _TASKS[task].factor, TASK_COLORS[task]
            axes.plot([row['weights'][pair[0]] for row in grid],
                      [factor * row['mean'][task] for row in grid], 'o-', color=color)
            alone = next(row for row in rows if row['group'] == 'single'
                         and row['tasks'] == [task])
            axes.axhline(factor * alone['mean'][task], color=color, linestyle=':')
            value = factor * learned['mean'][task]
            share = learned['weights'][pair[0]] / sum(learned['weights'].values())
            axes.axhline(value, color=color, linestyle='--', linewidth=0.9)
            axes.plot([share], [value], '*', color=color, markersize=12)
            axes.set_ylabel(_TASKS[task].heading.format(unit=unit), color=color)
            axes.tick_params(axis='y', colors=color)
            if task != 'segmentation':  # Up is better on both sides.
                axes.invert_yaxis()
        right.grid(visible=False)
        right.spines['right'].set_visible(True)
        left.set_xscale('logit')
        left.set_xlabel(f'weight of {pair[0]}, that of {pair[1]} is 1 less it')
    figure.suptitle('up is better; dotted: the task alone; star and dashed: learned weights')
    return figure


@styled
def start_figure(rows: Sequence[Row], terms: Mapping[str, str]) -> Figure | None:
    """Return the learned noise of each task over the steps, a line for each start of s."""
    starts = [row for row in rows if row['group'] == 'start']
    if not starts:
        return None
    figure = new_figure(4.0 * len(_TASKS), 3.4)
    for axes, task in zip(figure.subplots(1, len(_TASKS)), _TASKS):
        for number, row in enumerate(starts):
            for nth, folder in enumerate(row['folders']):
                curves = noise_curves(Path(folder))
                # A run of fewer than ten steps has logged none.
                axes.plot(curves['step'], curves.get(f's/{terms[task]}', curves['step']),
                          color=f'C{number}',
                          label=f's from {row["initial_s"]:g}' if nth == 0 else None)
        axes.set(xlabel='step', ylabel='s = log of the noise', title=f'{task} ({terms[task]})')
    figure.axes[0].legend()
    return figure
