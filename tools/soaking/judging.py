# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a soak, and what is wrong with them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import astuple
import os
from pathlib import Path
import shlex
import sys
from typing import Any

import numpy as np

from .samples import drops, Sample, SAMPLE_EVERY_S
from .surroundings import Surroundings

ROOT = Path(__file__).resolve().parents[2]


def slope_mb_per_hour(times_s: np.ndarray, values_mb: np.ndarray) -> tuple[float, float]:
    """Return the median of the slopes of all pairs (Theil-Sen: outliers do not count), and MB."""
    later, earlier = np.triu_indices(len(times_s), 1)[::-1]
    slope = float(np.median((values_mb[later] - values_mb[earlier])
                            / (times_s[later] - times_s[earlier])))
    return slope * 3600.0, float(np.median(values_mb - slope * times_s))


def judge(options: argparse.Namespace, samples: list[Sample], topics: list[str],
          around: Surroundings, exit_code: int, load: tuple[float, ...]) -> dict[str, Any]:
    """Return the figures and, in ``problems``, what is wrong with them."""
    table = np.array([astuple(one) for one in samples])
    times = table[:, 0]
    warm = times >= min(options.warm_up, 0.5 * times[-1])
    slope, offset = slope_mb_per_hour(times[warm], table[warm, 1])
    anonymous, _ = slope_mb_per_hour(times[warm], table[warm, 2])
    span = times[warm][-1] - times[warm][0]
    processed = samples[-1].processed - int(table[warm, 6][0])
    lost = drops(around.diagnostics)
    latency_ms = table[warm, 7]
    problems = []
    for cause in ('unusable_input', 'failure'):
        if lost[cause]:
            problems.append(f'{lost[cause]} images were dropped for {cause}')
    # The heap too: of the rest a kernel that is short of memory takes pages back, which would hide
    # what has grown.
    thirds = {}
    for name, column in (('resident', 1), ('anonymous', 2)):
        middle, last = (float(part.max()) for part in np.array_split(table[:, column], 3)[1:])
        thirds[name] = {'middle': middle, 'last': last}
        if last - middle > options.bound_of_thirds:
            problems.append(f'the most {name} memory of the last third is {last - middle:.1f} MB '
                            f"above the middle third's, more than {options.bound_of_thirds:g}")
    if None in around.recoveries_s:
        problems.append('a camera that came back was not served')
    for seconds in around.node_restarts_s:
        if seconds is None or seconds > options.bound_of_restart:
            problems.append(f'a node that was started again gave no labels within '
                            f'{options.bound_of_restart:g} s of its start ({seconds}; load '
                            f'average {load[0]:.1f} before)')
    if slope > options.bound:
        problems.append(f'memory grows by {slope:.1f} MB/hour, more than {options.bound:g}')
    if times[-1] < 60.0 * options.minutes - 3 * SAMPLE_EVERY_S:
        problems.append(f'the node ended after {times[-1]:.0f} s')
    if exit_code != 0:
        problems.append(f'the exit code is {exit_code}')
    if not processed:
        problems.append('no image was processed after the warm-up')
    silent = [topic for topic in topics if not around.counts[topic]]
    if silent:
        problems.append(f'nothing came on {", ".join(silent)}')
    stages = {key: value for key, value in around.diagnostics.items() if key.endswith('_ms')}
    return {
        'problems': problems, 'command': shlex.join(['python', *sys.argv]),
        'minutes': round(times[-1] / 60, 2),
        'model': os.path.relpath(options.model, ROOT), 'load_average': load,
        'device': around.diagnostics.get('device', ''), 'image_size': options.size,
        'camera_rate_hz': options.rate, 'warm_up_s': float(times[warm][0]),
        'slope_mb_per_hour': round(slope, 2), 'slope_bound_mb_per_hour': options.bound,
        'anonymous_slope_mb_per_hour': round(anonymous, 2), 'offset_mb': round(offset, 2),
        'rss_mb': {'first': samples[0].rss_mb, 'after_warm_up': float(table[warm, 1][0]),
                   'last': samples[-1].rss_mb, 'most': float(table[:, 1].max())},
        'most_of_thirds_mb': {**thirds, 'bound': options.bound_of_thirds},
        'camera_restarts': len(around.recoveries_s), 'recoveries_s': around.recoveries_s,
        'node_restarts_s': around.node_restarts_s,
        'node_restart_bound_s': options.bound_of_restart,
        'node_restarts_processor_s': around.restart_processor_s,
        'threads': {'after_warm_up': int(table[warm, 4][0]), 'last': samples[-1].threads},
        'open_files': {'after_warm_up': int(table[warm, 5][0]), 'last': samples[-1].open_files},
        'images_sent': around.sent, 'images_received': int(around.diagnostics['received']),
        'images_processed': samples[-1].processed, 'fps': round(processed / span, 3),
        'latency_ms': {'median': round(float(np.nanmedian(latency_ms)), 2),
                       'most': round(float(np.nanmax(latency_ms)), 2)},
        'drops': lost, 'lost_before_node': around.diagnostics['lost_before_node'],
        'last_times_ms': stages, 'exit_code': exit_code,
        'messages': {topic: around.counts[topic] for topic in sorted(topics)}}


def last_above_middle(result: Mapping[str, Any]) -> float:
    """Return by how much the most memory of the last third is above the middle third's, MB."""
    thirds = result['most_of_thirds_mb']['resident']
    return float(thirds['last'] - thirds['middle'])
