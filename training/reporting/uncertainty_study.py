# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Table and figure of ``training.studies.uncertainty``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emu_perception.scores import SCORES
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from training.reporting.plots import GRID, INK

_STYLE: Any = {'font.size': 9, 'axes.edgecolor': INK, 'axes.spines.top': False,
               'axes.spines.right': False, 'axes.grid': True, 'axes.axisbelow': True,
               'grid.color': GRID, 'legend.frameon': False}
_COLORS = {'segmentation': '#0072b2', 'depth': '#d55e00'}


def table(result: Mapping[str, Any]) -> str:
    """Return the groups as Markdown."""
    words = [score.words.removeprefix('mean ') for score in SCORES.values()]
    headings = ['n', 'flagged', *(f'by {word}' for word in words),
                *(f'AUROC {word}' for word in words), 'mIoU', 'ECE', 'RMSE [m]',
                'finds wrong labels', 'finds wrong depths']
    lines = [f'| images | {" | ".join(headings)} |', '|---|' + '---:|' * len(headings)]
    for group in result['groups']:
        auroc = [_cell((group[f'mean_{name}'] or {}).get('auroc'))
                 if group['group'] != 'clean' else '–' for name in SCORES]
        cells = [group['group'], str(group['images']), *(
            '–' if group[name] is None else f'{100 * group[name]:.0f} %' for name in (
                'flagged', *(f'flagged_by_{score.tag}' for score in SCORES.values()))), *auroc,
            *(_cell(group.get(task, {}).get(name)) for task, name in (
                ('segmentation', 'miou'), ('segmentation', 'ece'), ('depth', 'rmse'),
                ('segmentation', 'auroc'), ('depth', 'auroc')))]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _cell(value: float | None) -> str:
    return '–' if value is None else f'{value:.3f}'


@rc_context(_STYLE)
def study_figure(result: Mapping[str, Any]) -> Figure:
    """Return each image's mean uncertainties, a row for each group, and the thresholds."""
    groups = result['groups']
    scores = [score for name, score in SCORES.items() if groups[0][f'mean_{name}'] is not None]
    figure = Figure(figsize=(4.9 * len(scores) + 1.2, 0.42 * len(groups) + 1.3),
                    layout='constrained')
    FigureCanvasAgg(figure)
    rng = np.random.default_rng(0)
    names = [f'{group["group"]} ({group["images"]})' for group in groups]
    for axes, score in zip(figure.subplots(1, len(scores), sharey=True, squeeze=False)[0], scores):
        color, limit = _COLORS[score.task], result['thresholds'][score.tag]
        for row, group in enumerate(groups):
            values = [image[f'mean_{score.name}'] for image in group['rows']]
            axes.scatter(values, row + rng.uniform(-0.28, 0.28, len(values)), s=9, color=color,
                         alpha=0.45, linewidths=0)
            axes.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=2)
            if limit is not None:
                share = group[f'flagged_by_{score.tag}']
                axes.annotate(f'{100 * share:.0f} %', (1.0, row), (3, 0), va='center', fontsize=8,
                              xycoords=('axes fraction', 'data'), textcoords='offset points')
        if limit is not None:
            axes.axvline(limit, color=INK, linestyle='--', linewidth=1)
            axes.annotate('threshold: flagged right of it', (limit, 0), (4, 2), fontsize=8,
                          xycoords=('data', 'axes fraction'), textcoords='offset points',
                          rotation=90, va='bottom')
        axes.set_xlabel(f'{score.words} [{score.unit}]')
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(groups)), names)
        axes.grid(axis='y', visible=False)
    figure.axes[0].invert_yaxis()
    figure.suptitle(f'{result["checkpoint"]} on {result["data_set"]}: a dot for each image, bar: '
                    'median, right: share flagged', fontsize=9.5)
    return figure
