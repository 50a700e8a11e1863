# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Table and figure of ``training.studies.ground``."""

from __future__ import annotations

from collections.abc import Mapping
import textwrap
from typing import Any

from matplotlib.figure import Figure
import numpy as np

from .style import new_figure, styled
from .tables import markdown, number

_FIGURES = ('abs_rel', 'delta1', 'coverage_90', 'log_factor_rms')


def table(result: Mapping[str, Any]) -> str:
    """Return the figures in Markdown: the network's, and with the ground."""
    return markdown(
        ('camera', 'with', 'images', 'refused', 'abs rel', 'delta1', '90 % intervals hold',
         'log factor off, rms', 'factor within its 90 %'),
        [[camera['camera'], row['with'], str(row['images']), str(row['refused']), *(
            f'{number(row[name]["network"])} → {number(row[name]["ground"])}' if name in row
            else '' for name in _FIGURES), number(row.get('factor_in_90'))]
            for camera in result['cameras'] for row in camera['rows']])


@styled
def ground_figure(result: Mapping[str, Any]) -> Figure:
    """Return each image's factor, true depth / depth, by the network alone and with the ground."""
    cameras = [camera for camera in result['cameras'] if camera['rows'][0]['images']]
    figure = new_figure(5 * max(len(cameras), 1), 4)
    for axes, camera in zip(figure.subplots(1, max(len(cameras), 1), squeeze=False)[0], cameras):
        row = camera['rows'][0]
        order = np.argsort(row['factors']['network'])
        axes.axhline(1.0, color='#b8bec4')
        for name, color, words in (('network', '#56b4e9', 'the network alone'),
                                   ('ground', '#d55e00', 'with the ground')):
            axes.plot(np.array(row['factors'][name])[order], 'o', color=color, label=words)
        axes.set(yscale='log', xlabel='images, by what the network is off by',
                 ylabel='true depth / depth', title=camera['camera'], ylim=(0.45, 1.6))
        axes.set_yticks((0.5, 0.7, 1.0, 1.4), ('0.5', '0.7', '1', '1.4'))
        axes.minorticks_off()
        axes.legend()
    figure.suptitle('\n'.join(textwrap.wrap(result['command'], 130)), fontsize=8)
    return figure
