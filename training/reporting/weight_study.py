# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Table and figures of ``training.studies.weights``, from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from training.reporting.noise_curves import noise_curves
from training.reporting.plots import GRID, INK

TASKS = ('segmentation', 'instance', 'depth')
SHORT = {'segmentation': 'Seg.', 'instance': 'Inst.', 'depth': 'Depth'}
_COLORS = {'segmentation': '#0072b2', 'instance': '#009e73', 'depth': '#d55e00'}
_NAMES = {'equal': 'Unweighted sum of losses', 'fixed': 'Weights from the best of both grids'}
_STYLE: Any = {'font.size': 9, 'axes.edgecolor': INK, 'axes.spines.top': False, 'axes.grid': True,
               'axes.axisbelow': True, 'grid.color': GRID, 'legend.frameon': False,
               'legend.fontsize': 8, 'lines.markersize': 5}
Row = Mapping[str, Any]


def table(rows: Sequence[Row], unit: str) -> str:
    """Return the tables as Markdown, the first with the columns of the paper's Table 1."""
    seeds = len(rows[0]['seeds'])
    ap = any('ap' in row['mean'] for row in rows)
    lines = [f'Mean of {seeds} seed{"s" if seeds > 1 else ""}'
             + (', ± half the range between them.' if seeds > 1 else '.')
             + ' Learned: the weight at the end, as a share of all.', '',
             _head('Loss', unit, ap)]
    order = ('single', 'equal', 'fixed', 'learned', 'start')
    for row in sorted((row for row in rows if row['group'] in order),
                      key=lambda row: order.index(row['group'])):
        lines.append(_line(_title(row), row, ap))
    grids = [row for row in rows if row['group'] == 'grid']
    if grids:
        lines += ['', 'The grids (Figure 2):', '', _head('Pair', unit, ap)]
        lines += [_line(' + '.join(row['tasks']), row, ap) for row in grids]
    return '\n'.join(lines) + '\n'


def _head(first: str, unit: str, ap: bool) -> str:
    names = [first, *SHORT.values(), 'Segmentation IoU [%]', 'Instance mean error [px]',
             f'Inverse depth mean error [{unit}]', *(['AP [%]'] if ap else [])]
    return f'| {" | ".join(names)} |\n|{"---|" * len(names)}'


def _title(row: Row) -> str:
    if row['group'] == 'single':
        return f'{row["tasks"][0].capitalize()} only'
    if row['group'] == 'start':
        return f'3 task uncertainty weighting, s from {row["initial_s"]:g}'
    return _NAMES.get(row['group'], f'{len(row["tasks"])} task uncertainty weighting')


def _line(title: str, row: Row, ap: bool) -> str:
    total = sum(row['weights'].values())
    learned = row['initial_s'] is not None
    cells = [title]
    for task in TASKS:
        share = row['weights'].get(task, 0.0) / total
        cells.append('0' if task not in row['tasks'] else
                     f'✓ ({share:.3g})' if learned else f'{share:.3g}')
    for name, factor, digits in (('segmentation', 100, 1), ('instance', 1, 2), ('depth', 1, 4),
                                 *((('ap', 100, 1),) if ap else ())):
        values = [factor * run[name] for run in row['seeds'] if name in run]
        spread = f' ± {(max(values) - min(values)) / 2:.{digits}f}' if len(values) > 1 else ''
        cells.append(f'{factor * row["mean"][name]:.{digits}f}{spread}' if values else '-')
    return f'| {" | ".join(cells)} |'


@rc_context(_STYLE)
def pair_figure(rows: Sequence[Row], pairs: Sequence[tuple[str, str]], unit: str) -> Figure:
    """
    Return the paper's Figure 2: both tasks' performance over the weight of the first.

    Dotted: each task alone. Dashed with a star: learned weights, at the share they end at.
    """
    figure = Figure(figsize=(5.2 * len(pairs), 4.0), layout='constrained')
    FigureCanvasAgg(figure)
    for left, pair in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs):
        right = left.twinx()
        grid = sorted((row for row in rows if row['group'] == 'grid'
                       and tuple(row['tasks']) == tuple(pair)),
                      key=lambda row: row['weights'][pair[0]])
        learned = next(row for row in rows if row['group'] == 'learned'
                       and tuple(row['tasks']) == tuple(pair))
        for axes, task in ((left, pair[0]), (right, pair[1])):
            factor = 100 if task == 'segmentation' else 1
            color = _COLORS[task]
            axes.plot([row['weights'][pair[0]] for row in grid],
                      [factor * row['mean'][task] for row in grid], 'o-', color=color)
            alone = next(row for row in rows if row['group'] == 'single'
                         and row['tasks'] == [task])
            axes.axhline(factor * alone['mean'][task], color=color, linestyle=':')
            value = factor * learned['mean'][task]
            share = learned['weights'][pair[0]] / sum(learned['weights'].values())
            axes.axhline(value, color=color, linestyle='--', linewidth=0.9)
            axes.plot([share], [value], '*', color=color, markersize=12)
            _label(axes, task, unit, color)
            if task != 'segmentation':  # Up is better on both sides.
                axes.invert_yaxis()
        right.grid(visible=False)
        left.set_xscale('logit')
        left.set_xlabel(f'weight of {pair[0]}, that of {pair[1]} is 1 less it')
    figure.suptitle('up is better; dotted: the task alone; star and dashed: learned weights')
    return figure


def _label(axes: Axes, task: str, unit: str, color: str) -> None:
    axes.set_ylabel({'segmentation': 'segmentation IoU [%]',
                     'instance': 'instance mean error [px]',
                     'depth': f'inverse depth mean error [{unit}]'}[task], color=color)
    axes.tick_params(axis='y', colors=color)


@rc_context(_STYLE)
def start_figure(rows: Sequence[Row], terms: Mapping[str, str]) -> Figure | None:
    """Return the learned noise of each task over the steps, a line for each start of s."""
    starts = [row for row in rows if row['group'] == 'start']
    if not starts:
        return None
    figure = Figure(figsize=(4.0 * len(TASKS), 3.4), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, task in zip(figure.subplots(1, len(TASKS), squeeze=False)[0], TASKS):
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
