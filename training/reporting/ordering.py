# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Which result is ahead by which metric, and where the paper's order is another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

from .comparison import PAPER_POLICY
from .paper_tables import comparison_rows, NYUV2, paper_data_set, PaperRow
from .results import DEPTH, Result, SEGMENTATION
from .tables import number

_UNCERTAIN = 'p_uncertain_given_inaccurate'
_PAIRS_NAMED = 6
# On the 86 validation images of NYUv2 (15 runs of neighbouring frames), bootstrapped by run.
_NOISE = {'miou': 0.015, 'rmse': 0.02}


@dataclass(frozen=True)
class Ordering:
    """
    The order of the results by one metric.

    :ivar entries: (label, value), the best first.
    :ivar paper: (name, value) of the paper's rows for these results, the best first.
    :ivar pairs: number of pairs of results that the paper orders strictly, and so do we.
    :ivar differing: of these (ahead here, behind here, gap is within noise), where the paper has
        it the other way round.
    """

    metric: str
    entries: tuple[tuple[str, float], ...]
    paper: tuple[tuple[str, float], ...]
    pairs: int
    differing: tuple[tuple[str, str, bool], ...]

    @property
    def sentence(self) -> str:
        """Return it in words."""
        text = f'By {self.metric}: {_in_order(self.entries)}'
        if not self.pairs:
            return text + '.'
        text += f'; in the paper: {_in_order(self.paper)}. '
        if not self.differing:
            return text + ('The same order.' if self.pairs > 1 else 'The same way round.')
        named = [f'{ahead} of {behind}' + (' by a gap within noise' if noise else '')
                 for ahead, behind, noise in self.differing[:_PAIRS_NAMED]]
        more = len(self.differing) - len(named)
        return (text + f'They differ in {len(self.differing)} of {self.pairs} '
                f'{"pair" if self.pairs == 1 else "pairs"}; ahead here: ' + ', '.join(named)
                + (f', and {more} more' if more else '') + '.')


def orderings(results: Sequence[Result]) -> list[Ordering]:
    """Return the orders by mIoU, ECE, RMSE and p(u|i), where two unseen results have it."""
    results = [result for result in results if not result.seen]
    policy, words = PAPER_POLICY, 'void as inaccurate, threshold mean'
    measured = [result for result in results if result.document.get(SEGMENTATION)]
    if any(result.certainty(SEGMENTATION, _UNCERTAIN, policy) is None for result in measured):
        policy, words = ('', ''), "each file's own policy"
    metrics = (('mIoU', SEGMENTATION, 'miou', 1), ('ECE', SEGMENTATION, 'ece', -1),
               (f'p(u|i) of segmentation ({words})', SEGMENTATION, _UNCERTAIN, 1),
               ('RMSE', DEPTH, 'rmse', -1), ('p(u|i) of depth', DEPTH, _UNCERTAIN, 1))
    found = [_ordering(results, *metric, policy) for metric in metrics]
    return [ordering for ordering in found if len(ordering.entries) > 1]


def paper_row(result: Result) -> PaperRow | None:
    """Return the paper's row, with MiT-B2, of the same method and tasks on the same data set."""
    data_set = paper_data_set(result.document['data_set'])
    group = result.group
    if result.method == 'mc_dropout':
        # The paper has two rates, 20 % and 50 %: another one has no row to compare with.
        group += f" ({100 * result.document.get('dropout', 0.2):.0f}%)"
    rows = comparison_rows(data_set, 'B2') if data_set else ()
    return next((row for row in rows if (row.group, row.model) == (group, result.model)), None)


def _ordering(results: Sequence[Result], metric: str, task: str, name: str, better: int,
              policy: tuple[str, str]) -> Ordering:
    def value(result: Result) -> float | None:
        if name == _UNCERTAIN and task == SEGMENTATION and policy == PAPER_POLICY:
            return result.certainty(task, name, policy)
        return result.figure(task, name)

    # What is displayed alike is a tie.
    ours = [(result, round(found, 3)) for result in results
            if (found := value(result)) is not None]
    ours.sort(key=lambda item: -better * item[1])
    field = name if name in ('miou', 'ece', 'rmse') else f'{task}_{name}'
    paper: dict[str, tuple[PaperRow, float]] = {}
    for result, _ in ours:
        row = paper_row(result)
        if row is not None and getattr(row, field) is not None:
            paper[result.label] = (row, getattr(row, field))
    pairs, differing = 0, []
    for (ahead, ahead_value), (behind, behind_value) in combinations(ours, 2):
        if ahead_value == behind_value or not {ahead.label, behind.label} <= paper.keys():
            continue
        gap = better * (paper[ahead.label][1] - paper[behind.label][1])
        pairs += gap != 0
        if gap < 0:
            noise = noise_levels(results[0]).get(name, 0.0)
            differing.append((ahead.label, behind.label,
                              abs(ahead_value - behind_value) < noise))
    rows = {row: (_paper_name(row, paper), printed) for row, printed in paper.values()}
    return Ordering(metric, tuple((result.label, measured) for result, measured in ours),
                    tuple(sorted(rows.values(), key=lambda item: -better * item[1])),
                    pairs, tuple(differing))


def noise_levels(result: Result) -> dict[str, float]:
    """Return gaps of miou and rmse (m) that mean nothing on the result's images, where known."""
    nyuv2 = paper_data_set(result.document['data_set']) == NYUV2
    return _NOISE if nyuv2 and result.document['split'] == 'val' else {}


def _paper_name(row: PaperRow, paper: dict[str, tuple[PaperRow, float]]) -> str:
    if all(other.model in ('SegDepthFormer', 'EMUFormer') for other, _ in paper.values()):
        return row.group
    return row.group if row.group == row.model else f'{row.group} {row.model}'


def _in_order(entries: Sequence[tuple[str, float]]) -> str:
    return ', '.join(f'{" = ".join(name for name, _ in tied)} ({number(value)})'
                     for value, group in groupby(entries, key=lambda item: item[1])
                     for tied in [list(group)])
