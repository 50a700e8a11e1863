# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Find what is wrong with a data set folder before a training does."""

from __future__ import annotations

import argparse

from emu_perception.commands.tables import WholeTable
import numpy as np

from ..data.dataset_folder import DatasetFolder
from .problems import inspect, SplitStatistics

PERCENTILES = (1, 50, 99)


def depth_percentiles(folder: DatasetFolder, raw_depth: np.ndarray) -> tuple[list[float], float]:
    """
    Return percentiles 1, 50 and 99 of the valid depth, and the share of valid pixels.

    :param raw_depth: int64 [65536], how often each stored value occurs.
    """
    metres = folder.metres(np.arange(len(raw_depth), dtype=np.uint16))
    order = np.argsort(metres, kind='stable')
    counts = np.where(metres > 0, raw_depth, 0)[order]
    valid = int(counts.sum())
    if not valid:
        return [float('nan')] * len(PERCENTILES), 0.0
    ranks = np.searchsorted(counts.cumsum(), np.array(PERCENTILES) / 100 * valid)
    return metres[order][ranks].tolist(), valid / int(raw_depth.sum())


def split_table(folder: DatasetFolder, statistics: dict[str, SplitStatistics]) -> WholeTable:
    """Return the table of each split: files, share of labelled and of valid pixels, depth."""
    unit = folder.depth_unit
    headings = ['split', 'images', 'labels', 'labelled', 'depths', 'valid',
                *(f'p{percentile} {unit}' for percentile in PERCENTILES),
                *(('instances',) if folder.things else ())]
    rows = []
    for split, values in statistics.items():
        labelled = int(values.class_pixels.sum())
        pixels = labelled + values.unlabelled_pixels
        row = [split, str(values.images), str(values.label_maps),
               f'{labelled / pixels:.1%}' if pixels else '-', str(values.depth_maps)]
        if values.depth_maps:
            percentiles, valid = depth_percentiles(folder, values.raw_depth)
            row += [f'{valid:.1%}', *(f'{value:.2f}' for value in percentiles)]
        row += [''] * (len(headings) - len(row) - (1 if folder.things else 0))
        if folder.things:
            row.append(str(values.instances))
        rows.append(row)
    return WholeTable(headings, rows, left=('split',), title=(
        f'{folder.root} ({folder.name}, {len(folder.classes)} classes)'))


def class_table(folder: DatasetFolder, statistics: dict[str, SplitStatistics]) -> WholeTable:
    """Return the table of each class: its share of the labelled pixels, and images it is in."""
    rows = []
    for index, name in enumerate(folder.classes):
        cells = []
        for values in statistics.values():
            total = max(1, int(values.class_pixels.sum()))
            cells.append(f'{values.class_pixels[index] / total:.2%}, '
                         f'{values.class_images[index]}')
        rows.append((str(index), name, *cells))
    return WholeTable(('index', 'class', *statistics), rows, left=('class',),
                       title='classes: share of labelled pixels, images')


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    folder = DatasetFolder(options.folder)
    found, statistics = inspect(folder, progress=not options.no_progress)
    faults = [problem for problem in found if not problem.note]
    for problem in found:
        print(f'{"note: " if problem.note else ""}{problem}')
    if statistics:
        split_table(folder, statistics).print()
    if folder.classes and statistics:
        class_table(folder, statistics).print()
    places = f' in {len({fault.path for fault in faults})} files' if faults else ''
    print(f'{folder.root}: {len(faults)} faults{places}, {len(found) - len(faults)} notes')
    return 1 if faults else 0
