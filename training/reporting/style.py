# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One look for every figure that is drawn here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emu_perception.whole_files import whole_file
from matplotlib import rc_context
from matplotlib.figure import Figure

INK, GRID = '#30363d', '#e3e6e9'
# Of Okabe and Ito's palette, apart for the colour-blind.
TASK_COLORS = {'segmentation': '#0072b2', 'instance': '#009e73', 'depth': '#d55e00'}
NO_TASK_COLOR = '#cc79a7'  # Of a score that was fitted, and is of no one task.
_STYLE: Any = {'font.size': 9, 'axes.titlesize': 9.5, 'axes.edgecolor': INK, 'axes.linewidth': 0.7,
               'axes.labelcolor': INK, 'axes.spines.top': False, 'axes.spines.right': False,
               'axes.grid': True, 'axes.axisbelow': True, 'grid.color': GRID,
               'grid.linewidth': 0.7, 'figure.titlesize': 9.5,
               'xtick.color': INK, 'ytick.color': INK, 'legend.frameon': False,
               'legend.fontsize': 8, 'lines.linewidth': 1.5, 'lines.markersize': 4.5,
               # The same file from the same numbers.
               'svg.hashsalt': 'report'}
# Decorates what draws or writes a figure: ticks are made no sooner than they are written.
styled = rc_context(_STYLE)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, of inches, that makes room for its own labels."""
    return Figure(figsize=(width, height), layout='constrained')


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's ending."""
    with whole_file(path) as file:
        figure.savefig(file, dpi=150, format=path.suffix.removeprefix('.'))
