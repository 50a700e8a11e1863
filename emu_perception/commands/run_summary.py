# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What ``emu_run`` says while it runs and at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
import logging
from pathlib import Path
import sys

from emu_perception.commands.ground_ruler import ground_line, GroundSummary
from emu_perception.commands.hint_track import hint_line, HintSummary
from emu_perception.commands.output_folder import SUMMARY, TABLE
from emu_perception.commands.program import program
from emu_perception.commands.truth_figures import TruthSummary
from emu_perception.scores import SCORES
from emu_perception.whole_files import write_json

_FEW = 3  # Reasons that are named.


@dataclass
class Summary:
    """
    The figures of a run, also in summary.json.

    :ivar images: that were taken from the input, ``unusable`` of them could not be used;
        ``first_unusable`` names the first ones with their reasons.
    :ivar fps: images a second over the whole run, writing included.
    :ivar network_ms: mean time of the network alone.
    :ivar thresholds: in force, by name of the score.
    :ivar scores: their means over the images, by name.
    :ivar judged: 'each' image by itself, or all as the 'stream' of a camera.
    :ivar raises: how often the flag went up; None where each image is judged by itself.
    :ivar risk_share: of the time, by reason of the flag; 'none': not raised.
    :ivar recording_mb: of the recording for each image; None where there is none.
    :ivar recording_raw_mb: the same before compression.
    :ivar files: what was written, by kind: panels, video, recording, maps, table.
    :ivar words: the same kinds for people; not in summary.json.
    :ivar depth_hint: of a depth camera that was joined in; None where none was.
    :ivar ground_scale: of the ground; None where the camera's height is not known.
    :ivar truth: how far all is from the truth beside the images; None where there is none.
    """

    source: str
    model: str
    device: str
    thresholds: Mapping[str, float]
    judged: str = 'stream'
    images: int = 0
    unusable: int = 0
    first_unusable: list[str] = field(default_factory=list)
    with_focal_length: int = 0
    seconds: float = 0.0
    fps: float = 0.0
    network_ms: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    interrupted: bool = False
    raises: int | None = None
    raises_per_minute: float | None = None
    risk_share: dict[str, float] = field(default_factory=dict)
    recording_mb: float | None = None
    recording_raw_mb: float | None = None
    files: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    depth_hint: HintSummary | None = None
    ground_scale: GroundSummary | None = None
    truth: TruthSummary | None = None

    def note_unusable(self, found: Mapping[str, tuple[str, int]]) -> None:
        """Note which could not be used: by reason the first one's name, and how many."""
        self.unusable = sum(count for _, count in found.values())
        self.first_unusable = [
            f'{name}{f" and {count - 1} more" if count > 1 else ""}: {" ".join(reason.split())}'
            for reason, (name, count) in list(found.items())[:_FEW]]
        named = sum(count for _, count in list(found.values())[:_FEW])
        if named < self.unusable:
            self.first_unusable.append(f'{self.unusable - named} more: see {TABLE}')

    def wrote(self, kind: str, path: Path, words: str = '') -> None:
        """Note what was written, and in words what of it."""
        self.files[kind] = str(path)
        self.words[kind] = words or kind

    def write(self, out: Path) -> None:
        """Write summary.json."""
        document = asdict(self)
        thresholds, scores = document.pop('thresholds'), document.pop('scores')
        del document['words']
        for name, row in SCORES.items():
            document[row.threshold_column] = thresholds.get(name)
            document[row.column] = scores.get(name)
        write_json(out / SUMMARY, document, indent=2)

    def print(self) -> None:  # noqa: A003
        """Print the figures for people."""
        raised = {reason: share for reason, share in self.risk_share.items() if reason != 'none'}
        reasons = ', '.join(f'{reason} {100 * share:.1f} %' for reason, share in raised.items())
        means, limits = (', '.join(row.text(values[name]) for name, row in SCORES.items()
                                   if name in values) for values in (self.scores, self.thresholds))
        lines = [
            f'{self.images} images{", interrupted" if self.interrupted else ""}'
            f', {self.unusable} of them unusable; {self.fps:.2f} images/s with all outputs, '
            f'network alone {self.network_ms:.0f} ms, {self.device}',
            *(f'unusable: {text}' for text in self.first_unusable),
            *([f'{means}; thresholds: {limits or "none"}'] if means else []),
            f'risk raised {100 * sum(raised.values()):.1f} % of the '
            f'{"images, each judged by itself" if self.judged == "each" else "time"}'
            f'{": " if reasons else ""}{reasons}']
        if self.raises_per_minute is not None:
            from_the_start = ', being up from the start' if raised and not self.raises else ''
            lines.append(f'the flag went up {self.raises} times{from_the_start}, '
                         f'{self.raises_per_minute:.1f} a minute')
        if self.with_focal_length < self.images - self.unusable:
            lines.append(f'depth is to scale in {self.with_focal_length} of '
                         f'{self.images - self.unusable} images; metres of the others are not '
                         'recorded')
        if self.depth_hint is not None:
            lines.append(hint_line(self.depth_hint))
        if self.ground_scale is not None:
            lines.append(ground_line(self.ground_scale))
        if self.truth is not None:
            lines += self.truth.lines
        if self.recording_mb is not None:
            lines.append(f'the recording has {self.recording_mb:.2f} MB an image, '
                         f'{self.recording_raw_mb:.2f} before compression')
        lines += [f'{self.words[kind]}: {path}' for kind, path in self.files.items()]
        print(*lines, sep='\n')


@contextmanager
def progress(total: int | None, shown: bool) -> Iterator[Callable[[str], None]]:
    """Show a bar where rich is installed; yields a function to call after each image."""
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        shown = False
    if not shown:
        yield lambda text: None
        return
    with Progress(TextColumn('images'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  TextColumn('{task.description}'), console=Console(stderr=True)) as bar:
        task = bar.add_task('', total=total)
        yield lambda text: bar.update(task, advance=1, description=text)


class LogLines(logging.Handler):
    """Prints each message of the package as one line of this command."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print to the stderr of the moment, which the progress bar replaces."""
        level = '' if record.levelno < logging.WARNING else f'{record.levelname.lower()}: '
        print(f'{program("emu_run")}: {level}{record.getMessage()}', file=sys.stderr)


@contextmanager
def logging_lines() -> Iterator[None]:
    """Print what the package logs from INFO up."""
    logger, handler = logging.getLogger('emu_perception'), LogLines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
