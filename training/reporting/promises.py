# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A figure of what promised maps were worth in rooms that were left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emu_perception.promises.constants import most_promised
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np

from .style import INK, new_figure, styled

# By name of the map: the robot's way, its title, the unit of its size, its colour.
_MAPS = {'depth_interval': ('scaled', 'depth intervals', 'm wide', '#d55e00'),
         'label_set_size': ('entropy', 'sets of classes', 'classes', '#0072b2')}


def _kind(level: str, one: Mapping[str, Any], rooms: int) -> str:
    if not one['promised']:
        return 'calibrated, not promised'
    # What is drawn is of the others, which are too few where the rooms are just enough. Not read
    # from `others_promise`: results of before it was written are drawn, too.
    measured = float(level) <= most_promised(rooms - 1)
    return 'promised' if measured else 'promised, drawn what was calibrated'


@styled
def promises_figure(result: Mapping[str, Any]) -> Figure:
    """
    Return for each map and level what held in each room that was left out.

    :param result: of ``training.calibrate``.
    """
    there = [name for name in _MAPS if name in result['promises']]
    figure = new_figure(3.6 * max(len(there), 1), 3.3)
    axes = figure.subplots(1, len(there), squeeze=False, sharey=True)[0]
    for index, (name, panel) in enumerate(zip(there, axes)):
        _rooms(panel, name, result['promises'][name], result['runs'])
        if not index:
            panel.set_ylabel("share of a room's pixels for which it held")
    return figure


def _rooms(axes: Axes, name: str, ways: Mapping[str, Any], rooms: int) -> None:
    robots, title, unit, color = _MAPS[name]
    names = []
    room = 'a room left out' if rooms > 1 else 'the one room, fitted to'
    for at, (level, one) in enumerate(ways[robots].items()):
        held = np.sort(one['of_runs'])
        # Side by side, so that rooms of the same share are all seen.
        axes.plot(at + np.linspace(-0.25, 0.25, len(held)), held, 'o', color=color, alpha=0.6,
                  label='' if at else room)
        axes.hlines(float(level), at - 0.35, at + 0.35, INK, linestyles='--', linewidth=1.2,
                    label='' if at else 'the level')
        axes.hlines(one['held'], at - 0.35, at + 0.35, color, linewidth=2.2,
                    label='' if at else 'mean of the rooms')
        names.append('\n'.join((level, *_kind(level, one, rooms).split(', '),
                                f'{one["size"]:.2f} {unit}')))
    axes.set_title(title)
    axes.set_xticks(range(len(names)), names)
    axes.grid(False, axis='x')
    axes.set_ylim(min(0.45, min(one['worst_run'] for one in ways[robots].values()) - 0.05), 1.01)
    axes.legend(loc='lower right')
