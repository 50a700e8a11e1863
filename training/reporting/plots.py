# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a report: one axes each, so that the page can lay them out on any screen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
import numpy as np

from ..metrics.certainty_cells import CERTAINTY
from .results import DEPTH, METHODS, Result, SEGMENTATION
from .style import INK, new_figure, styled

# Okabe and Ito's palette, apart for the colour-blind; the markers tell them apart in grey too.
COLORS = dict(zip(METHODS, ('#4d4d4d', '#e69f00', '#56b4e9', '#0072b2', '#d55e00')))
MARKERS = dict(zip(METHODS, 'osv^D'))
_LINES: tuple[Any, ...] = ('-', (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
WIDTH, HEIGHT = 4.4, 3.3  # Inches.
# Characters of a label that let two stand side by side.
_LABEL_WIDTH = 22
_Draw = Callable[[Axes, dict[str, np.ndarray], dict[str, Any]], None]
CERTAINTY_TITLES = dict(zip(CERTAINTY, (
    'p(accurate | certain)', 'p(uncertain | inaccurate)', 'PAvPU')))


@styled
def svg_uri(figure: Figure) -> str:
    """Return a figure as the data URI of an SVG whose text is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='svg', metadata={'Date': None})
    return 'data:image/svg+xml;base64,' + base64.b64encode(buffer.getvalue()).decode()


@styled
def reliability(result: Result) -> Figure | None:
    """
    Return accuracy by confidence, its gap to the confidence, and below it the share of pixels.

    None where the result has no such curve.
    """
    curve = result.curve(SEGMENTATION, 'reliability')
    if not curve or not _known(curve, 'count', 'accuracy', 'confidence'):
        return None
    count, accuracy, confidence = (curve[name] for name in ('count', 'accuracy', 'confidence'))
    bins = len(count)
    left, width = np.arange(bins) / bins, 1.0 / bins
    figure = new_figure(WIDTH, HEIGHT + 0.5)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    color = COLORS[result.method]
    axes.bar(left, accuracy, width, align='edge', color=color, alpha=0.75,
             edgecolor='white', linewidth=0.6, label='accuracy')
    axes.bar(left, confidence - accuracy, width, accuracy, align='edge', facecolor='none',
             edgecolor='#b00020', linewidth=0.5, hatch='/////', label='gap to confidence')
    axes.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel='accuracy', title=result.label)
    ece = result.figure(SEGMENTATION, 'ece')
    axes.legend(loc='upper left', title='' if ece is None else f'ECE {ece:.3f}',
                title_fontsize=8, alignment='left')
    share = 100.0 * count / max(np.nansum(count), 1.0)
    below.bar(left, share, width, align='edge', color='#9aa3ab', edgecolor='white',
              linewidth=0.6)
    below.set(xlabel='confidence', ylabel='pixels [%]')
    below.grid(axis='x', visible=False)
    return figure


@styled
def coverage(results: Sequence[Result]) -> Figure | None:
    """Return the observed against the nominal coverage of depth's central intervals."""
    def draw(axes: Axes, curve: dict[str, np.ndarray], style: dict[str, Any]) -> None:
        axes.plot(100 * curve['nominal'], 100 * curve['observed'], **style)

    figure = _lines(results, DEPTH, 'coverage', ('nominal', 'observed'), draw)
    if figure:
        axes = figure.axes[0]
        axes.plot((0, 100), (0, 100), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel='nominal coverage [%]',
                 ylabel='observed coverage [%]')
    return figure


@styled
def sparsification(results: Sequence[Result], task: str, difference: bool = False
                   ) -> Figure | None:
    """
    Return the error that remains when the most uncertain pixels are removed.

    :param difference: over the oracle's (its area is the AUSE), in place of both curves.
    """
    def draw(axes: Axes, curve: dict[str, np.ndarray], style: dict[str, Any]) -> None:
        x = 100 * curve['fraction']
        if difference:
            axes.plot(x, curve['error'] - curve['oracle'], **style)
            return
        axes.plot(x, curve['error'], **style)
        axes.plot(x, curve['oracle'], color=style['color'], linewidth=0.8,
                  linestyle=_LINES[2])

    figure = _lines(results, task, 'sparsification', ('fraction', 'error', 'oracle'), draw)
    if figure:
        error = 'error rate' if task == SEGMENTATION else 'RMSE'
        axes = figure.axes[0]
        axes.set(xlim=(0, 100), xlabel='most uncertain pixels removed [%]',
                 ylabel=f'relative {error} above the oracle' if difference
                 else f'remaining {error}, relative to all pixels',
                 title='Above the oracle; the area is the AUSE' if difference
                 else 'Dotted: oracle')
        if not difference:
            axes.set_ylim(bottom=0)
    return figure


@styled
def threshold(results: Sequence[Result], task: str, name: str) -> Figure | None:
    """
    Return one figure of certainty against one threshold for all images.

    :param name: a key of ``CERTAINTY_TITLES``.
    """
    def draw(axes: Axes, curve: dict[str, np.ndarray], style: dict[str, Any]) -> None:
        # The axis of depth is sigma, in metres: its curve's thresholds are variances, in m².
        x = curve['uncertainty'] if task == SEGMENTATION else np.sqrt(curve['uncertainty'])
        # Where everything is uncertain, or everything certain, the curve is a constant.
        y = np.where(_moving(curve), curve[name], np.nan)
        axes.plot(x, y, **style)

    # A curve that stands still all along (a uniform uncertainty) has no point to show.
    results = [result for result in results
               if (curve := result.curve(task, 'threshold')) and _known(curve, *CERTAINTY_TITLES)
               and np.isfinite(np.where(_moving(curve), curve[name], np.nan)).any()]
    figure = _lines(results, task, 'threshold', ('uncertainty', *CERTAINTY_TITLES), draw)
    if figure:
        axes = figure.axes[0]
        axes.set(xlabel='threshold of the entropy [nats]' if task == SEGMENTATION
                 else 'threshold of sigma [m]', ylabel=CERTAINTY_TITLES[name], ylim=(0, 1.02))
        if task == DEPTH:
            axes.set_xscale('log')
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter(StrMethodFormatter('{x:g}'))
            axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def _lines(results: Sequence[Result], task: str, kind: str, names: Sequence[str],
           draw: _Draw) -> Figure | None:
    curves = [(result, curve) for result in results
              if (curve := result.curve(task, kind)) and _known(curve, *names)]
    if not curves:
        return None
    columns = 1 if max(len(result.label) for result, _ in curves) > _LABEL_WIDTH else 2
    figure = new_figure(WIDTH, HEIGHT + 0.19 * -(-len(curves) // columns))
    axes = figure.add_subplot()
    seen: dict[str, int] = {}
    for result, curve in curves:
        nth = seen[result.method] = seen.get(result.method, -1) + 1
        draw(axes, curve, {
            'color': COLORS[result.method], 'linestyle': _LINES[nth % len(_LINES)],
            'marker': MARKERS[result.method], 'markevery': 0.17, 'label': result.label})
    figure.legend(loc='outside lower center', ncols=columns, handlelength=3.2, columnspacing=1.4)
    return figure


def _known(curve: dict[str, np.ndarray], *names: str) -> bool:
    return all(name in curve and np.isfinite(curve[name]).any() for name in names)


def _moving(curve: dict[str, np.ndarray]) -> np.ndarray:
    flagged = curve['p_uncertain_given_inaccurate']
    return (flagged > 0.001) & (flagged < 0.999)
