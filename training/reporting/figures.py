# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which figures a report has, under which headings."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from training.reporting import plots
from training.reporting.results import Result, TASKS

# By heading, which may be '': (name in words, figure).
Groups = dict[str, list[tuple[str, Figure]]]


def groups(results: Sequence[Result]) -> dict[str, Groups]:
    """Return the figures of each section; one without figures is empty."""
    return {name: _drawn(figures) for name, figures in {
        'reliability': {'': [(f'Reliability of {result.label}', plots.reliability(result))
                             for result in results]},
        'coverage': {'': [('Coverage of depth intervals', plots.coverage(results))]},
        'sparsification': {
            title: [(f'Sparsification of {task}', plots.sparsification(results, task, difference))
                    for difference in (False, True)] for task, title in TASKS.items()},
        'threshold': {
            title: [(f'{words} of {task} against the threshold',
                     plots.threshold(results, task, key))
                    for key, words in plots.CERTAINTY_TITLES.items()]
            for task, title in TASKS.items()}}.items()}


def _drawn(sections: dict[str, list[tuple[str, Figure | None]]]) -> Groups:
    found = {heading: [(name, figure) for name, figure in figures if figure]
             for heading, figures in sections.items()}
    return {heading: figures for heading, figures in found.items() if figures}
