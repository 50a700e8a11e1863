# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask what a lens costs whose distortion is taken out, and what it costs if not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import math
from pathlib import Path
import sys
from typing import Any

from emu_perception.cameras.judgement import judge
from emu_perception.predictor import Predictor
import numpy as np
from rich.progress import track
import torch

from ..arguments.studies.rectification import parser
from ..calibration.training_pictures import border_of, clean_picture, Picture
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetError, DatasetFolder
from ..data.leakage import check_unseen
from ..metrics.segmentation import ConfusionMatrix
from ..reporting.tables import DASH, number
from .rectification_lenses import as_taken, ideal_of, lens_info, LENSES
from .told_depth import told

UNDISTORTED = 'undistorted'


@dataclass
class Tally:
    """
    What a way of taking the pictures has given, over all of them.

    :ivar misplaced_m: how far points lie from where they are, with K alone, of each picture: the
        median, the 95th percentile and the largest.
    """

    labels: ConfusionMatrix
    square_m2: float = 0.0
    pixels: int = 0
    misplaced_m: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, predictor: Predictor, image: np.ndarray, fx: float, picture: Picture) -> None:
        """Add a picture."""
        example, found = picture.example, predictor(image, fx=fx)
        if found.label is not None and example.label is not None:
            self.labels.update(torch.from_numpy(found.label), torch.from_numpy(example.label))
        if found.depth is not None and example.depth is not None:
            depth = told(found.depth, predictor.metadata.depth_max)
            known = example.depth > 0
            off = depth[known].astype(np.float64) - example.depth[known]
            self.square_m2, self.pixels = self.square_m2 + float(off @ off), self.pixels + len(off)

    @property
    def figures(self) -> dict[str, float | None]:
        """Return mIoU and RMSE; None of a task without a prediction or truth."""
        return {'miou': float(self.labels.compute()['miou']) if self.labels.counts.any() else None,
                'rmse_m': math.sqrt(self.square_m2 / self.pixels) if self.pixels else None}


def study(checkpoint: Path, folder: DatasetFolder, split: str, *,
          limit: int | None = None, lenses: Sequence[str] = tuple(LENSES), device: str = 'auto',
          progress: bool = True) -> dict[str, Any]:
    """
    Return the study of a checkpoint.

    :param limit: only so many images of the split, evenly spaced.
    :param lenses: of ``LENSES``.
    :raises EmuError: if a file cannot be used.
    """
    predictor = Predictor.load(checkpoint, device)
    check_unseen(checkpoint, predictor.metadata, folder, split)
    folder.check_classes(predictor.metadata.classes, checkpoint)
    stems = evenly_spaced(folder.stems(split), limit)
    tallies = {name: Tally(ConfusionMatrix(len(folder.classes))) for name in (
        UNDISTORTED, *lenses)}
    for picture in _pictures(predictor, folder, stems, progress):
        image, focal = picture.example.image, picture.focal
        assert focal is not None
        height, width = image.shape[:2]
        fx = focal * width
        tallies[UNDISTORTED].add(predictor, image, fx, picture)
        for name in lenses:
            info = lens_info(name, width, height, fx)
            camera = judge(info, width, height, rectified=False, rectify=True).needed()
            ideal = ideal_of(info)
            tallies[name].add(predictor, camera.rectified(as_taken(image, ideal)), camera.fx,
                              picture)
            if picture.example.depth is not None:
                tallies[name].misplaced_m.append(_misplaced(ideal, picture.example.depth, fx))
    return {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
            'images': len(stems),
            'undistorted': tallies[UNDISTORTED].figures,
            'lenses': [_row(name, tallies) for name in lenses]}


def _pictures(predictor: Predictor, folder: DatasetFolder, stems: list[str], progress: bool
              ) -> Iterator[Picture]:
    border = border_of(predictor.metadata)
    for stem in track(stems, 'images', disable=not progress):
        picture = clean_picture(folder, stem, border)
        if picture.focal is None:
            raise DatasetError(f'{folder.root}/dataset.yaml: intrinsics are not known: without a '
                               'focal length there are no metres')
        yield picture


def _misplaced(ideal: np.ndarray, depth: np.ndarray, fx: float) -> tuple[float, float, float]:
    """Return median, 95th percentile and largest distance of points taken to be a pinhole's."""
    height, width = depth.shape
    pixel = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    column, row = (np.rint(ideal[..., axis]).astype(int) for axis in (0, 1))
    # The depth of what a raw pixel shows is the picture's, where that shows it.
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    metres = depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    off = np.linalg.norm(ideal - pixel, axis=-1) / fx * metres
    off = off[inside & (metres > 0)]
    if not off.size:
        return 0.0, 0.0, 0.0
    middle, most = (float(value) for value in np.percentile(off, (50, 95)))
    return middle, most, float(off.max())


def _row(name: str, tallies: dict[str, Tally]) -> dict[str, Any]:
    found, before = tallies[name].figures, tallies[UNDISTORTED].figures
    median, most, largest = (np.array(tallies[name].misplaced_m or [(0.0,) * 3]).T)
    return {'lens': name, 'd': list(LENSES[name][1]), **found,
            'miou_change': _change(found['miou'], before['miou']),
            'rmse_change': _change(found['rmse_m'], before['rmse_m']),
            'unrectified_misplaced_m': {'median': float(median.mean()), 'p95': float(most.mean()),
                                        'largest': float(largest.max())}}


def _change(after: float | None, before: float | None) -> float | None:
    return after / before - 1.0 if after is not None and before else None


def table(result: Mapping[str, Any]) -> str:
    """Return the figures for people."""
    before = result['undistorted']
    lines = [f'{"lens":22} {"mIoU":>7} {"RMSE m":>7} {"change":>15}   points, unrectified, off m',
             f'{UNDISTORTED:22} {number(before["miou"], 4):>7} {number(before["rmse_m"], 4):>7}']
    for row in result['lenses']:
        off = row['unrectified_misplaced_m']
        changes = (DASH if change is None else f'{100 * change:+.2f}' for change in (
            row['miou_change'], row['rmse_change']))
        lines.append(f'{row["lens"]:22} {number(row["miou"], 4):>7} '
                     f'{number(row["rmse_m"], 4):>7} {" ".join(f"{x:>6}" for x in changes)} %   '
                     f'median {off["median"]:.2f}, 95 % {off["p95"]:.2f}, '
                     f'largest {off["largest"]:.2f}')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return study_command(parser(), arguments, lambda options: study(
        options.checkpoint, DatasetFolder(options.data), options.split, limit=options.limit,
        device=options.device, progress=not options.no_progress), table)


if __name__ == '__main__':
    sys.exit(main())
