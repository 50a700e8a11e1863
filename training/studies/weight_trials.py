# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The trials of ``training.studies.weights``: which tasks, with which weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..recipes.recipe import Recipe
from ..recipes.sections import LossOptions, LossWeightsOptions

TASKS = ('segmentation', 'instance', 'depth')
GRID_PAIRS = (('segmentation', 'depth'), ('instance', 'depth'))
PAIRS = (('segmentation', 'instance'), *GRID_PAIRS)


@dataclass(frozen=True)
class Trial:
    """
    One setting of the weights.

    :ivar key: names its runs.
    :ivar group: 'single', 'equal', 'fixed', 'grid', 'learned' or 'start'.
    :ivar weights: by task; None = learned.
    :ivar initial: of s, where the weights are learned; None = the base recipe's.
    """

    key: str
    group: str
    tasks: tuple[str, ...]
    weights: dict[str, float] | None = None
    initial: float | None = None

    def recipe(self, base: Recipe, seed: int) -> Recipe:
        """Return what trains it: the base recipe with other tasks, weights and seed."""
        names = terms(base.loss)
        initial = base.loss_weights.initial if self.initial is None else self.initial
        if isinstance(initial, dict):  # A run is told of no term that it does not have.
            initial = {term: value for term, value in initial.items() if term not in {
                names[task] for task in TASKS if task not in self.tasks}}
        options = replace(base.loss_weights, mode='learned', fixed={}, initial=initial)
        if self.weights is not None:
            options = LossWeightsOptions(mode='fixed', fixed={
                names[task]: weight for task, weight in self.weights.items()})
        return replace(base, name=f'{self.key}/seed_{seed}', output=str(base.folder),
                       seed=base.seed + seed, network=replace(base.network, tasks=self.tasks),
                       loss_weights=options)


def terms(loss: LossOptions) -> dict[str, str]:
    """Return the name of each task's term."""
    return {'segmentation': 'ce', 'instance': 'instance_l1',
            'depth': f'inverse_{loss.inverse_depth}'}


def first_trials(grid: list[float], starts: list[float]) -> list[Trial]:
    """Return all trials but the one that the grids' results decide."""
    found = [Trial(f'only_{task}', 'single', (task,), {task: 1.0}) for task in TASKS]
    found.append(Trial('equal', 'equal', TASKS, dict.fromkeys(TASKS, 1 / 3)))
    found += [Trial(f'grid_{pair[0]}_{weight:g}', 'grid', pair,
                    {pair[0]: weight, pair[1]: 1.0 - weight})
              for pair in GRID_PAIRS for weight in grid]
    found += [Trial(f'learned_{"_".join(tasks)}', 'learned', tasks) for tasks in (*PAIRS, TASKS)]
    return found + [Trial(f'start_{start:g}', 'start', TASKS, initial=start) for start in starts]


def best_weights(rows: list[dict[str, Any]]) -> dict[str, float]:
    """
    Return fixed weights for three tasks: the ratios that were best in the two grids.

    Best: the smallest mean of the two tasks' losses of quality (1 - IoU, errors) relative to what
    each task reaches alone.
    """
    alone = {row['tasks'][0]: _badness(row, row['tasks'][0]) for row in rows
             if row['group'] == 'single'}
    ratio = {'depth': 1.0}
    for task, other in GRID_PAIRS:
        tried = [row for row in rows if row['group'] == 'grid' and row['tasks'] == [task, other]]
        best = min(tried, key=lambda row: sum(_badness(row, name) / alone[name]
                                              for name in row['tasks']))
        ratio[task] = best['weights'][task] / best['weights'][other]
    total = sum(ratio.values())
    return {task: ratio[task] / total for task in TASKS}


def _badness(row: dict[str, Any], task: str) -> float:
    value = float(row['mean'][task])
    return max(1e-6, 1.0 - value if task == 'segmentation' else value)
