# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The demo on the terminal: progress while it runs, tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emu_perception.commands.tables import WholeTable
from emu_perception.ros.demo.answers import score_key
from emu_perception.scores import SCORES
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar; yields a function to call after each image, with what is shown beside it."""
    with Progress(TextColumn('images answered'), BarColumn(), MofNCompleteColumn(),
                  TimeRemainingColumn(), TextColumn('{task.description}')) as bar:
        task = bar.add_task('', total=total)
        yield lambda text: bar.update(task, advance=1, description=text)


def print_summary(summary: dict[str, Any], out: Path) -> None:
    """Print the figures of summary.json."""
    console = Console(width=max(Console().width, 99))
    given = [row for row in SCORES.values()
             if any(values[f'mean_{score_key(row)}'] is not None
                    for values in summary['kinds'].values())]
    scores = [row.words.removeprefix('mean ') + row.suffix.replace('_', ' ') for row in given]
    rows = []
    for kind, values in summary['kinds'].items():
        truth = values['depth_against_truth'] or {}
        rows.append((kind, str(values['images']),
                     *(_text(values[f'mean_{score_key(row)}'], 2) for row in given),
                     _percent(values['share_judged_uncertain']),
                     _percent(values['share_with_risk_raised']),
                     *(_text(truth.get(name), 2) for name in ('rmse_m', 'abs_rel', 'delta1'))))
    WholeTable(
        ('kind', 'images', *scores, 'uncertain', 'risk', 'RMSE m', 'abs rel', 'delta1'), rows,
        title='What the model itself says, by kind of image', left=('kind',),
        caption='uncertain: above a threshold in itself. risk: the flag, with its hysteresis. '
        'Depth errors where the depth is known.').print()
    console.print('thresholds: ' + ', '.join(
        f'{row.words} {_text(limit)}{row.suffix.replace("_", " ")}' for row in given
        if (limit := summary[f'threshold_{score_key(row)}']) is not None))
    console.print(f'images: {summary["images_sent"]} sent, {summary["images_answered"]} answered, '
                  f'{_text(summary["rate_hz_one_image_at_a_time"])} Hz one at a time; latency '
                  f'p50 {_text(summary["latency_p50_ms"], 0)} ms, '
                  f'p99 {_text(summary["latency_p99_ms"], 0)} ms')
    changes = [f'{"raised" if change["raised"] else "cleared"} at {change["image"]}'
               for change in summary['risk_changes']]
    console.print(f'risk changes: {len(changes)}', *changes, sep='\n  ')
    console.print(f'panels and summary.json: {out}')
    shown = [f'{kind}: {values["panel"]}' for kind, values in summary['kinds'].items()
             if values['panel']]
    console.print('to look at first', *shown, sep='\n  ')


def _text(value: float | None, digits: int = 3) -> str:
    return '-' if value is None else f'{value:.{digits}f}'


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.0f} %'
