# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Tables and figure of ``training.studies.trust``."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from emu_perception.corruptions import SEVERITIES
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from .style import INK, new_figure, styled
from .tables import DASH, markdown, number

# Of a cell: title, ends of the colours, and whether more is better.
_PANELS = (('pixel_accuracy', 'pixel accuracy', 0.1, 0.75, True),
           ('abs_rel', 'abs rel', 0.1, 0.6, False),
           ('miou', 'mIoU', 0.0, 0.35, True),
           ('ece', 'ECE', 0.0, 0.4, False),
           ('coverage_90', '90 % intervals hold', 0.1, 0.9, True),
           ('bad', 'pictures that are bad', 0.0, 1.0, False),
           ('flagged', 'flagged, kind left out of the fit', 0.0, 1.0, False))
_BARS = {'clean': 'clean', 'clean_and_good': 'clean and good', 'mild': 'mild changes',
         'corrupted_and_good': 'corrupted, yet good', 'corrupted_and_bad': 'corrupted and bad',
         'faulty_and_good': 'faulty on the way, yet good',
         'faulty_and_bad': 'faulty on the way and bad',
         'upside_down': 'upside down', 'jigsaw': '3x3 jigsaw',
         'corrupted_and_good_as_shipped': 'corrupted, yet good; as shipped',
         'corrupted_and_bad_as_shipped': 'corrupted and bad; as shipped',
         'upside_down_as_shipped': 'upside down; as shipped',
         'jigsaw_as_shipped': '3x3 jigsaw; as shipped'}
_BY_ERROR = {'corrupted': 'corrupted', 'faulty': 'faulty on the way'}
_LUMA, _DARK = (0.299, 0.587, 0.114), 0.42
_COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')


def table(result: Mapping[str, Any]) -> str:
    """Return the shares flagged, the scores as detectors, and the ruler, as Markdown."""
    bars = [[words, str(bar['pictures']), _percent(bar['share']),
             ' to '.join(_percent(limit) for limit in bar['interval'])]
            for name, words in _BARS.items() if (bar := result['bars'][name])['pictures']]
    bars += [[group['group'], str(group['images']), _percent(group['flagged']), '']
             for group in result['groups']]
    errors = [[words, error_range(part), str(part['pictures']), _percent(part['share']),
               ' to '.join(_percent(limit) for limit in part['interval'])]
              for name, words in _BY_ERROR.items() for part in result['by_error'][name]]
    scores = [[name, number(found['auroc']), ' to '.join(map(number, found['interval'])),
               number(found['area_under_risk_coverage'])]
              for name, found in result['detection'].items()]
    cells = [[cell['kind'], str(cell['severity'] or ''),
              *(number(cell[name]) for name, *_ in _PANELS)] for cell in result['cells']]
    return '\n\n'.join((
        markdown(('pictures', 'n', 'flagged', '90 % interval over runs'), bars),
        markdown(('pictures', 'error by its limit', 'n', 'flagged', '90 % interval over runs'),
                 errors),
        markdown(('score', 'AUROC, kinds left out', '90 % interval over runs',
                  'area under risk and coverage'), scores),
        markdown(('kind', 'severity', *(title for _, title, *_ in _PANELS)), cells)))


def error_range(part: Mapping[str, Any]) -> str:
    """Return the errors of one row of 'by_error', as multiples of the limit."""
    if part['above'] is None:
        return f'up to {part["up_to"]:g}'
    if part['up_to'] is None:
        return f'above {part["above"]:g}'
    return f'{part["above"]:g} to {part["up_to"]:g}'


def _percent(value: float | None) -> str:
    return DASH if value is None else f'{100 * value:.1f} %'


@styled
def trust_figure(result: Mapping[str, Any]) -> Figure:
    """Return a panel of kinds by severities for each figure, risk by coverage, and the rest."""
    kinds = list(dict.fromkeys(cell['kind'] for cell in result['cells'] if cell['severity']))
    single = [cell for cell in result['cells'] if not cell['severity']]
    figure = new_figure(21, 8.3 + 0.48 * len(kinds))
    above, below = figure.subfigures(2, 1, squeeze=False,
                                     height_ratios=(2.0 + 0.48 * len(kinds), 3.6))[:, 0]
    panels = above.subplots(2, 5)
    for axes, (name, title, low, high, more) in zip(panels.flat, _PANELS):
        values = np.full((len(kinds), len(SEVERITIES)), np.nan)
        for cell in result['cells']:
            if cell['severity'] and cell[name] is not None:
                values[kinds.index(cell['kind']), cell['severity'] - 1] = cell[name]
        _colored(axes, values, low, high, more)
        axes.set_xticks(range(len(SEVERITIES)), [str(severity) for severity in SEVERITIES])
        axes.set_yticks(range(len(kinds)), kinds)
        axes.set_title(title)
    _curves(panels.flat[len(_PANELS)], result['detection'])
    _errors(panels.flat[len(_PANELS) + 1], result['by_error'])
    _percentiles(panels.flat[len(_PANELS) + 2], result['percentiles'])
    rows = below.subplots(len(_PANELS), 1, sharex=True)
    for axes, (name, title, low, high, more) in zip(rows, _PANELS):
        known = [math.nan if cell[name] is None else cell[name] for cell in single]
        _colored(axes, np.array([known]), low, high, more)
        axes.set_yticks([0], [title.partition(',')[0]])
    rows[-1].set_xticks(range(len(single)), [cell['kind'] for cell in single], rotation=35,
                        ha='right', rotation_mode='anchor')
    figure.suptitle(
        f'{result["checkpoint"]} on {result["images"]} images of {result["data_set"]} '
        f'{result["split"]}: severities 1 to 5; below, what has none', fontsize=10)
    return figure


def _colored(axes: Axes, values: np.ndarray, low: float, high: float, more: bool) -> None:
    """Draw numbers on colours, blue where it is well: where ``more`` is, or where less is."""
    shown = axes.imshow(values, cmap='RdYlBu' if more else 'RdYlBu_r', vmin=low, vmax=high,
                        aspect='auto')
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            axes.text(column, row, f'{value:.2f}'.lstrip('0') if value < 1 else f'{value:.1f}',
                      ha='center', va='center', fontsize=7,
                      color=_legible(shown.to_rgba(value)))
    axes.tick_params(length=0)
    axes.grid(False)


def _legible(background: np.ndarray) -> str:
    """Return the colour of a number on a cell of this one (rgb, 0 to 1)."""
    return INK if np.dot(background[:3], _LUMA) > _DARK else 'white'


def _curves(axes: Axes, detection: Mapping[str, Any]) -> None:
    """Draw the share of bad pictures among those a score would keep."""
    for color, (name, found) in zip(_COLORS, detection.items()):
        axes.plot(found['coverage'], found['risk'], color=color,
                  label=f'{name}: AUROC {number(found["auroc"])}')
    axes.set(xlabel='share of corrupted pictures kept, lowest scores first',
             ylabel='share of them that are bad', xlim=(0, 1), ylim=(0, None))
    axes.legend(loc='upper left', fontsize=7.5)


def _errors(axes: Axes, by_error: Mapping[str, Any]) -> None:
    """Draw the share flagged by how wrong the pictures are, with intervals over runs."""
    for color, (name, words) in zip(_COLORS, _BY_ERROR.items()):
        parts = [(i, part) for i, part in enumerate(by_error[name]) if part['pictures']]
        if not parts:  # Of no picture the truth is known.
            continue
        places, shares = [i for i, _ in parts], [part['share'] for _, part in parts]
        axes.plot(places, shares, 'o-', color=color, markersize=4, label=words)
        low, high = zip(*(part['interval'] for _, part in parts))
        axes.fill_between(places, low, high, color=color, alpha=0.15, linewidth=0)
    rows = by_error[name]
    limit = next(i for i, part in enumerate(rows) if part['above'] == 1.0)
    axes.axvline(limit - 0.5, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(rows)), [error_range(part) for part in rows], rotation=35,
                    ha='right', rotation_mode='anchor')
    axes.set(xlabel='error of a picture: 1 = bad from here on', ylabel='flagged', ylim=(0, 1),
             title='flagged, by how wrong')
    if axes.lines[1:]:  # Beside that of the limit.
        axes.legend(loc='upper left', fontsize=7.5)


def _percentiles(axes: Axes, percentiles: Mapping[str, Mapping[str, float | None]]) -> None:
    """Draw what thresholds at other percentiles of clean images would flag."""
    for color, name in zip(_COLORS, ('clean', 'mild', 'corrupted_and_good', 'corrupted_and_bad',
                                     'faulty_and_bad')):
        known = [(float(at), share) for at, shares in percentiles.items()
                 if (share := shares[name]) is not None]
        if not known:
            continue
        axes.plot(*zip(*known), 'o-', color=color, markersize=4, label=_BARS[name])
    axes.set(xlabel='thresholds: percentile of clean images', ylim=(0, 1),
             title='flagged, by thresholds')
    axes.legend(loc='center', bbox_to_anchor=(0.5, 0.6), fontsize=7.5, ncols=2)
