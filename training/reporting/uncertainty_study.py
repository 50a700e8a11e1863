# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Table and figure of ``training.studies.uncertainty``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emu_perception.scores import SCORES
from matplotlib.figure import Figure
import numpy as np

from .style import INK, new_figure, NO_TASK_COLOR, styled, TASK_COLORS
from .tables import DASH, markdown, number

_WORDS = [score.words.removeprefix('mean ') for score in SCORES.values()]
_HEADINGS = ('images', 'n', 'flagged', *(f'by {word}' for word in _WORDS),
             *(f'AUROC {word}' for word in _WORDS), 'mIoU', 'ECE', 'RMSE [m]',
             'finds wrong labels', 'finds wrong depths')


def table(result: Mapping[str, Any]) -> str:
    """Return the groups as Markdown."""
    return markdown(_HEADINGS, [
        [group['group'], str(group['images']),
         *(_percent(group[name]) for name in (
             'flagged', *(f'flagged_by_{score.tag}' for score in SCORES.values()))),
         *(DASH if group['group'] == 'clean' else
           number((group[f'mean_{name}'] or {}).get('auroc')) for name in SCORES),
         *(number(group.get(task, {}).get(name)) for task, name in (
             ('segmentation', 'miou'), ('segmentation', 'ece'), ('depth', 'rmse'),
             ('segmentation', 'auroc'), ('depth', 'auroc')))] for group in result['groups']])


def _percent(share: float | None) -> str:
    return DASH if share is None else f'{100 * share:.0f} %'


@styled
def study_figure(result: Mapping[str, Any]) -> Figure:
    """Return each image's mean uncertainties, a row for each group, and the thresholds."""
    groups = result['groups']
    scores = [score for name, score in SCORES.items() if groups[0][f'mean_{name}'] is not None]
    figure = new_figure(4.9 * len(scores) + 1.2, 0.42 * len(groups) + 1.3)
    rng = np.random.default_rng(0)
    names = [f'{group["group"]} ({group["images"]})' for group in groups]
    for axes, score in zip(figure.subplots(1, len(scores), sharey=True, squeeze=False)[0], scores):
        limit = result['thresholds'][score.tag]
        for row, group in enumerate(groups):
            values = [image[f'mean_{score.name}'] for image in group['rows']]
            axes.scatter(values, row + rng.uniform(-0.28, 0.28, len(values)), s=9,
                         color=TASK_COLORS.get(score.task, NO_TASK_COLOR), alpha=0.45,
                         linewidths=0)
            axes.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=2)
            if limit is not None:
                share = group[f'flagged_by_{score.tag}']
                axes.annotate(_percent(share), (1.0, row), (3, 0), va='center', fontsize=8,
                              xycoords=('axes fraction', 'data'), textcoords='offset points')
        if limit is not None:
            axes.axvline(limit, color=INK, linestyle='--', linewidth=1)
            axes.annotate('threshold: flagged right of it', (limit, 1.0), (0, 3), ha='center',
                          fontsize=8, xycoords=('data', 'axes fraction'),
                          textcoords='offset points')
        axes.set_xlabel(f'{score.words} [{score.unit}]')
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(groups)), names)
        axes.grid(axis='y', visible=False)
    figure.axes[0].invert_yaxis()
    figure.suptitle(f'{result["checkpoint"]} on {result["data_set"]}: a dot for each image, bar: '
                    'median, right: share flagged')
    return figure
