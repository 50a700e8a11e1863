# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The curves of learned weights that a run has logged."""

from __future__ import annotations

import csv
from pathlib import Path
import re

import numpy as np


def noise_curves(folder: Path) -> dict[str, np.ndarray]:
    """
    Return step, s/TERM, noise/TERM and weight/TERM of a run, each float64 [N] in order of steps.

    :param folder: of the run. Each of its starts has a file of its own; where two have a step,
        as after a stop, the later counts.
    """
    rows: dict[int, dict[str, float]] = {}
    starts = sorted((folder / 'logs').glob('start_*/metrics.csv'),
                    key=lambda path: int(re.sub(r'\D', '', path.parent.name)))
    for path in starts:
        with path.open(newline='') as file:
            for row in csv.DictReader(file):
                found = {name: float(value) for name, value in row.items()
                         if value and name.partition('/')[0] in ('s', 'noise', 'weight')}
                if found:
                    rows[int(row['step'])] = found
    steps = sorted(rows)
    names = sorted({name for row in rows.values() for name in row})
    return {'step': np.array(steps, float), **{
        name: np.array([rows[step].get(name, np.nan) for step in steps]) for name in names}}
