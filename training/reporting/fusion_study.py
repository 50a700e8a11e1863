# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Tables and figure of ``training.studies.fusion``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import textwrap
from typing import Any

from emu_perception.fusion import CORRECTED, Fused, NETWORK, SENSOR
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
import numpy as np

from .style import INK, new_figure, styled
from .tables import DASH, markdown, number

_COVERAGE_FROM = 0.7  # The axis; further where less held, so that no point is left out.
_SOURCES = {NETWORK: ('#b8bec4', 'network'), CORRECTED: ('#e69f00', 'corrected'),
            SENSOR: ('#0072b2', 'sensor')}
_WAYS = (('network', '#b8bec4', 'network'), ('one_factor', '#8d96a0', 'network x one factor'),
         ('best', '#56b4e9', 'best fill without a network'), ('fused', '#d55e00', 'fused'))


@dataclass(frozen=True)
class Row:
    """
    A row of pictures.

    :ivar known: what the sensor saw, metres, 0 = nothing.
    :ivar network: metres.
    """

    name: str
    image: np.ndarray
    known: np.ndarray
    network: np.ndarray
    fused: Fused


def table(result: Mapping[str, Any]) -> str:
    """Return errors by kind of hole and what the intervals hold, as Markdown."""
    parts = [_errors(result['kinds'])]
    held = result['coverage_90']
    parts.append(markdown(('90 % intervals of hidden pixels', 'hold', '90 % interval over runs'), [
        ['all', *_share(held['all'])],
        *([kind, *_share(found)] for kind, found in held['by_kind'].items()),
        *([_cells(found['cells']), *_share(found)] for found in held['by_distance']),
        ["the image's factor", number(held['factor']), '']]))
    for other in result['others']:
        parts.append(f'{other["data_set"]}: factor {other["factor"]["median"]:.2f}, 90 % '
                     f'intervals hold {other["coverage_90"]["all"]:.3f}')
        parts.append(_errors(other['kinds']))
    return '\n\n'.join(parts)


def _errors(kinds: Sequence[Mapping[str, Any]]) -> str:
    return markdown(
        ('hidden', 'images', 'network', 'x one factor', 'best fill', 'fused (RMSE m)',
         'below the fill', '90 % over runs', 'bar', 'fx wrong by 1.3', 'noise and outliers'),
        [[found['kind'], str(found['images']), *(number(found['rmse'][name]) for name in (
            'network', 'one_factor')), f'{number(found["rmse"][found["best_fill"]])} '
            f'({found["best_fill"]})', number(found['rmse']['fused']), _percent(found['gain']),
            ' to '.join(map(_percent, found['gain_interval'])),
            f'{_percent(found["bar"])} {"holds" if found["holds"] else "MISSED"}'
            if 'bar' in found else DASH,
            _percent(found['wrong_fx_change'], 2), _percent(found['noisy_change'])]
         for found in kinds])


def _share(found: Mapping[str, Any]) -> tuple[str, str]:
    return number(found['share']), ' to '.join(map(number, found['interval']))


def _cells(ends: Sequence[float | None]) -> str:
    low, high = ends
    return f'{low:g} to {high:g} cells' if high is not None else f'beyond {low:g} cells'


def _percent(value: float | None, digits: int = 0) -> str:
    return DASH if value is None else f'{100 * value:.{digits}f} %'


@styled
def fusion_figure(result: Mapping[str, Any]) -> Figure:
    """Return charts: errors by kind of hole, coverage, and growth of the uncertainty."""
    figure = new_figure(15, 4)
    errors, coverage, growth = figure.subplots(1, 3, width_ratios=(2.2, 1.3, 1))
    _bars(errors, result['kinds'])
    _coverage(coverage, result['coverage_90'])
    constants = result['constants']
    growth.plot(constants['distances'], constants['growth'], 'o-', color='#d55e00')
    growth.set(xscale='log', ylim=(0, None), xlabel='cells to the nearest hint (4 px of VGA each)',
               ylabel='g', title='growth of the relative sigma')
    figure.suptitle('\n'.join(textwrap.wrap(result['command'], 170)), fontsize=8)
    return figure


@styled
def fusion_pictures(rows: Sequence[Row]) -> Figure:
    """Return rows of pictures: colour, sensor, network, fused, sigma, source."""
    figure = new_figure(15, 2.05 * len(rows))
    panels = figure.subplots(len(rows), 6, squeeze=False)
    for axes, row in zip(panels, rows):
        _pictures(axes, row)
    for axes, title in zip(panels[0], ('colour', 'sensor, with its holes', 'network', 'fused',
                                       'sigma of the fused', 'source')):
        axes.set_title(title)
    return figure


def _pictures(panels: Sequence[Axes], row: Row) -> None:
    finite = row.fused.depth[np.isfinite(row.fused.depth)]
    top = float(np.percentile(finite, 99)) if finite.size else 10.0
    sigma = np.sqrt(row.fused.variance)
    depths = (np.where(row.known > 0, row.known, np.nan), row.network, row.fused.depth)
    panels[0].imshow(row.image)
    panels[0].set_ylabel(row.name)
    for axes, depth in zip(panels[1:4], depths):
        shown = axes.imshow(depth, cmap='turbo', vmin=0, vmax=top)
        axes.set_facecolor(INK)
    panels[3].figure.colorbar(shown, ax=panels[3], label='m', pad=0.02)
    shown = panels[4].imshow(sigma, cmap='turbo', vmin=0, vmax=1)
    panels[4].figure.colorbar(shown, ax=panels[4], label='m', pad=0.02)
    colors = ListedColormap([color for color, _ in _SOURCES.values()])
    panels[5].imshow(np.ma.masked_greater(row.fused.source, SENSOR), cmap=colors, vmin=-0.5,
                     vmax=2.5, interpolation='nearest')
    for color, words in _SOURCES.values():
        panels[5].plot([], [], 's', color=color, label=words)
    panels[5].legend(loc='lower left', fontsize=6, frameon=True, framealpha=0.8)
    for axes in panels:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)


def _bars(axes: Axes, kinds: Sequence[Mapping[str, Any]]) -> None:
    at = np.arange(len(kinds))
    for i, (way, color, words) in enumerate(_WAYS):
        axes.bar(at + 0.2 * (i - 1.5), [found['rmse'][found['best_fill'] if way == 'best' else way]
                                        for found in kinds], 0.19, color=color, label=words)
    # Of the error, not of the gain: + is worse.
    axes.set_xticks(at, [f'{found["kind"]}\n{-100 * found["gain"]:+.0f} %' for found in kinds])
    axes.set(ylabel='RMSE of the hidden part, m',
             title='by kind of hole; below it, fused against the best fill without a network')
    axes.legend(fontsize=7)


def _coverage(axes: Axes, held: Mapping[str, Any]) -> None:
    names = [*held['by_kind'], *(_cells(found['cells']) for found in held['by_distance'])]
    found = [*held['by_kind'].values(), *held['by_distance']]
    known = [(name, one) for name, one in zip(names, found) if one['share'] is not None]
    least = _COVERAGE_FROM
    for i, (_, one) in enumerate(known):
        low, high = one['interval'] or (one['share'], one['share'])
        least = min(least, low - 0.02, one['share'] - 0.02)
        axes.plot([low, high], [i, i], color='#0072b2')
        axes.plot(one['share'], i, 'o', color='#0072b2')
    axes.axvspan(0.87, 0.93, color='#009e73', alpha=0.2)
    axes.set_yticks(range(len(known)), [name for name, _ in known], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlim=(least, 1.0), title='90 % intervals hold (runs left out)')
