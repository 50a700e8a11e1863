# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a soak: memory, images per second and latency over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from .samples import Sample, SAMPLE_EVERY_S


def draw(samples: list[Sample], result: Mapping[str, Any], path: Path) -> None:
    """Draw memory, images per second and latency over time."""
    matplotlib.use('Agg')
    from matplotlib import pyplot
    table = np.array([astuple(one) for one in samples])
    minutes, warm = table[:, 0] / 60, result['warm_up_s'] / 60
    figure, (upper, lower, last) = pyplot.subplots(
        3, 1, figsize=(9, 7), sharex=True, height_ratios=(3, 1, 1), layout='constrained')
    upper.plot(minutes, table[:, 1], label='resident')
    upper.plot(minutes, table[:, 2], label='of it anonymous (heap)')
    upper.plot(minutes, table[:, 3], label="of it shared (the middleware's)")
    line = np.array([warm, minutes[-1]])
    upper.plot(line, result['offset_mb'] + result['slope_mb_per_hour'] / 60 * line, 'k--', lw=1,
               label=f'{result["slope_mb_per_hour"]:+.1f} MB/hour '
                     f'(bound {result["slope_bound_mb_per_hour"]:g})')
    upper.set_title(f'emu_node, {result["minutes"]:g} minutes, {result["images_processed"]} '
                    f'images ({Path(result["model"]).name}, {result["device"]}); grey: warm-up')
    upper.set_ylabel('memory of the process [MB]')
    upper.legend(loc='upper center', ncols=2)
    step = max(1, round(10 / SAMPLE_EVERY_S))
    every = table[::step]
    if len(every) > 1:
        for column, name in ((6, 'processed'), (8, 'dropped')):
            lower.step(every[1:, 0] / 60, np.diff(every[:, column]) / np.diff(every[:, 0]),
                       where='pre', label=name)
        lower.legend(loc='upper center', ncols=2)
    lower.set_ylabel('images/s')
    last.plot(minutes, table[:, 7])
    last.set_ylabel('latency [ms]')
    last.set_xlabel('minutes')
    for axes in (upper, lower, last):
        axes.axvspan(0, warm, color='0.9')
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
