# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Panels, video, table and float maps of ``emu_run``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.commands.drawing import draw_panel
from emu_perception.commands.result import Result
from emu_perception.commands.video_file import VideoFile
from emu_perception.maps import MAPS
from emu_perception.scores import SCORES
from emu_perception.whole_files import naming, whole_file, write_whole
import numpy as np

STAGES = ('preprocess', 'network', 'postprocess')
COLUMNS = ('source', 'stamp_s', *(row.column for row in SCORES.values()), 'risk', 'reason',
           'detail', 'unknown_depth_share', 'fx_px', *(f'{stage}_ms' for stage in STAGES),
           'sensor_holes_share', 'network_abs_rel_to_sensor', 'scale_factor', 'scale_sigma')

_LONGEST_NAME = 200  # Bytes; file systems take 255, with number, suffix and what is put before it.


class Table:
    """frames.csv: one row an image, also for one that could not be used; empty is unknown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with naming(path):
            self._file = path.open('w', newline='', encoding='utf-8')
            self._rows = csv.writer(self._file)
            self._rows.writerow(COLUMNS)

    def add(self, result: Result) -> None:
        """Write one row, at once: a run that is killed leaves what it has done."""
        risk, prediction = result.risk, result.prediction
        # The flag's are without those in metres where the focal length is not known.
        scores = {**risk.scores, **(prediction.scores if prediction else {})}
        stamp_ns = result.source.header.stamp_ns
        values: list[object] = [
            result.source.name, f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}',
            *(_text(scores.get(name)) for name in SCORES),
            int(risk.raised), risk.reason.value, risk.detail, _text(result.unknown_depth_share),
            _text(result.camera.fx if result.camera else None)]
        values += [_text(prediction.timing_ms[stage] if prediction else None, 2)
                   for stage in STAGES]
        hint, scale = result.hint, prediction.scale if prediction else None
        values += [_text(value) for value in (
            *((hint.holes, hint.abs_rel) if hint else (None, None)),
            *((scale.factor, scale.sigma) if scale else (None, None)))]
        with naming(self._path):
            self._rows.writerow(values)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Panels:
    """
    PNG panels and the MP4 of them; each panel is drawn once.

    :param limit: how many PNGs; None: all.
    :param expected: how many images there will be, so that the PNGs are spread over them.
    :param video: path of the MP4, or None.
    :param rate_hz: of the video.
    :param scene_colors: whether depth is coloured over the range of each image by itself.
    """

    def __init__(self, folder: Path, metadata: CheckpointMetadata, *,
                 limit: int | None, expected: int | None, video: Path | None,
                 rate_hz: float, scene_colors: bool = False) -> None:
        self._scene_colors = scene_colors
        self._folder, self._metadata = folder, metadata
        self._limit, self._expected = limit, expected
        self.video = None if video is None else VideoFile(video, rate_hz)
        self.written = 0
        if limit != 0:
            folder.mkdir()

    def add(self, result: Result) -> None:
        """
        Draw what is wanted of one result.

        :raises VideoError: if the video cannot be written.
        """
        wanted = self._wants_png(result.index)
        if result.prediction is None or not (wanted or self.video):
            return
        bgr = cv2.cvtColor(draw_panel(
            result, self._metadata, scene_colors=self._scene_colors), cv2.COLOR_RGB2BGR)
        if wanted:
            path = self._folder / f'{_stem(result)}.png'
            # By way of memory: cv2.imwrite tells neither a full disk nor why it failed.
            write_whole(path, cv2.imencode('.png', bgr)[1].tobytes())
            self.written += 1
        if self.video:
            self.video.add(bgr)

    def close(self) -> None:
        """Finish the video."""
        if self.video:
            self.video.close()

    def _wants_png(self, index: int) -> bool:
        if self._limit is None or self._expected is None or self._expected <= self._limit:
            return self._limit is None or index < self._limit
        share = self._limit / self._expected
        return (self.written < self._limit
                and (index == 0 or int(index * share) > int((index - 1) * share)))


class Maps:
    """maps/<image>.npz: what is given of each map, not compressed (numpy.load reads them)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    def add(self, result: Result) -> None:
        """Write one file."""
        if result.shown is None:
            return
        arrays: dict[str, Any] = {row.given_name: values for row in MAPS.values()
                                  if (values := result.shown.given(row.name)) is not None}
        with whole_file(self._folder / f'{_stem(result)}.npz') as file:
            np.savez(file, stamp_ns=np.int64(result.source.header.stamp_ns), **arrays)

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _stem(result: Result) -> str:
    """Return what the files of a result are called: its number tells it from all others."""
    named = Path(result.source.name).stem.encode()[:_LONGEST_NAME].decode(errors='ignore')
    return f'{result.index:06d}_{named}'


def _text(value: float | None, digits: int = 6) -> str:
    return '' if value is None else f'{value:.{digits}f}'
