# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One result of training.evaluate: its figures, its curves, its place in the paper's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics.summary import DEPTH, SEGMENTATION
from ..recipes import registry

TASKS = {SEGMENTATION: 'Segmentation', DEPTH: 'Depth'}
INSTANCE = 'instance'  # A third task, of which a report says nothing.
# In the order of the paper's tables, by the names of its groups.
METHODS = {name: method.title for name, method in registry.METHODS.items()}
# A baseline that goes on from others is none of the paper's, which start with the encoder.
FROM_OTHERS = 'From other networks'


@dataclass(frozen=True)
class Result:
    """
    One checked result.

    :ivar label: its name; with the file's where two results have the same.
    :ivar document: the file's content.
    """

    file: Path
    label: str
    document: dict[str, Any]

    @property
    def method(self) -> str:
        """Return one of ``METHODS``."""
        return str(self.document['method'])

    @property
    def group(self) -> str:
        """Return its group in the tables."""
        if self.method == 'baseline' and self.document.get('made_of'):
            return FROM_OTHERS
        return METHODS[self.method]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return those of the network's tasks that are reported."""
        return tuple(task for task in self.document['tasks'] if task in TASKS)

    @property
    def model(self) -> str:
        """Return the paper's name of the network, or DeepLab where it has a task of its own."""
        if INSTANCE in self.document['tasks']:
            return 'DeepLab'
        if len(self.tasks) == 1:
            return 'SegFormer' if self.tasks[0] == SEGMENTATION else 'DepthFormer'
        return 'EMUFormer' if self.method == 'emuformer' else 'SegDepthFormer'

    @property
    def seen(self) -> bool:
        """Return whether the images were trained on: what is measured then flatters it."""
        return self.document.get('seen_in_training') is True

    @property
    def policy(self) -> tuple[str, str]:
        """Return (void, threshold) of the main figures."""
        return self.document['void'], self.document['threshold']

    @property
    def single_pass(self) -> bool:
        """Return whether one pass of the first checkpoint is what was measured."""
        return not registry.METHODS[self.method].samples

    def figure(self, task: str, name: str) -> float | None:
        """Return a metric of a task, None where it is not defined or was not measured."""
        return finite((self.document.get(task) or {}).get(name))

    def certainty(self, task: str, name: str, policy: tuple[str, str]) -> float | None:
        """Return p_accurate_given_certain, ... or pavpu under a policy (void, threshold)."""
        if policy == self.policy:
            return self.figure(task, name)
        for row in self.document.get('policies') or ():
            if (row.get('void'), row.get('threshold')) == policy:
                return finite((row.get(task) or {}).get(name))
        return None

    def curve(self, task: str, kind: str) -> dict[str, np.ndarray] | None:
        """Return the float64 columns of a curve, NaN where not defined; None without it."""
        curves = ((self.document.get('curves') or {}).get(task) or {}).get(kind)
        return curves and {name: np.array(values, float) for name, values in curves.items()}

    def class_iou(self) -> dict[str, float | None]:
        """Return the IoU by class name; empty where it was not measured."""
        values = self.document.get('class_iou') or ()
        return dict(zip(self.document.get('classes') or (), (finite(value) for value in values)))


def finite(value: Any) -> float | None:
    """Return a finite number as float, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def featured(results: Sequence[Result]) -> Result:
    """Return the result that is shown in pictures: an EMUFormer if there is one, else the best."""
    results = [result for result in results if not result.seen] or results
    students = [result for result in results if result.method == 'emuformer']
    return best(students or results)


def best(results: Sequence[Result]) -> Result:
    """Return the result of the highest mIoU; of the lowest RMSE where none has labels."""
    results = [result for result in results if not result.seen] or results
    labelled = [(value, result) for result in results
                if (value := result.figure(SEGMENTATION, 'miou')) is not None]
    if labelled:
        return max(labelled, key=lambda item: item[0])[1]
    measured = [(value, result) for result in results
                if (value := result.figure(DEPTH, 'rmse')) is not None]
    return min(measured, key=lambda item: item[0])[1] if measured else results[0]
