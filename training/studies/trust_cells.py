# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the network gets right on a split, by kind and severity of the ruler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import math
from typing import Any

from emu_perception.corruptions import BREAKS, CORRUPTIONS, FAULTS, MILD, SEVERITIES
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.observer import Observer
import torch

from ..calibration.badness import Truth, truth_at
from ..calibration.training_pictures import (
    Border,
    changed,
    CLEAN,
    clean_picture,
    Picture,
)
from ..data.dataset_folder import DatasetFolder
from ..metrics.calibration import CalibrationError
from ..metrics.gaussian_scores import GaussianScores
from ..metrics.segmentation import ConfusionMatrix

# Of content, with truth: photographs in the image's place have none.
MEASURED_BREAKS = tuple(kind for kind in BREAKS if kind not in ('foreign', 'foreign_restyled'))


def ruler_cells() -> list[tuple[str, int]]:
    """Return kind and severity of each cell: clean, corruptions, breaks, faults, mild changes."""
    return [(CLEAN, 0), *((kind, severity) for kind in CORRUPTIONS for severity in SEVERITIES),
            *((kind, 0) for kind in (*MEASURED_BREAKS, *FAULTS, *MILD))]


def ruler_pictures(folder: DatasetFolder, stems: Iterable[str], border: Border,
                   ) -> Iterator[Picture]:
    """Yield each image in every cell of the ruler."""
    for stem in stems:
        clean = clean_picture(folder, stem, border)
        for kind, severity in ruler_cells():
            yield clean if kind == CLEAN else changed(clean, kind, severity)


class Cell:
    """
    The figures of one cell, pooled over all pixels on the network's grid.

    :param classes: K; 0 = no segmentation.
    :param depth: whether there is depth.
    :param form: what its density is.
    """

    def __init__(self, classes: int, depth: bool, form: DepthForm = LINEAR) -> None:
        self.confusion = ConfusionMatrix(classes) if classes else None
        self.calibration = CalibrationError(15) if classes else None
        self.gaussian = GaussianScores(form) if depth else None

    def add(self, maps: NetworkMaps, truth: Truth) -> None:
        """Add a picture."""
        if self.confusion is not None and self.calibration is not None \
                and maps.label is not None and maps.confidence is not None \
                and truth.label is not None:
            label = torch.from_numpy(truth.label).long()
            known = label < self.confusion.classes
            guess, label = maps.label.cpu().long()[known], label[known]
            self.confusion.update(guess, label)
            self.calibration.update(maps.confidence.cpu()[known], guess == label)
        if self.gaussian is not None and maps.depth is not None \
                and maps.depth_variance is not None and truth.depth is not None:
            self.gaussian.update(maps.depth.cpu(), maps.depth_variance.cpu(),
                                 torch.from_numpy(truth.depth))

    def figures(self) -> dict[str, float | None]:
        """Return mIoU, ECE and the coverage of 90 % intervals; None where nothing was known."""
        found: dict[str, Any] = {'miou': None, 'ece': None, 'coverage_90': None}
        if self.confusion is not None and self.calibration is not None \
                and int(self.confusion.counts.sum()):
            found['miou'] = self.confusion.compute()['miou']
            found['ece'] = self.calibration.compute()['ece']
        if self.gaussian is not None and int(self.gaussian.held.sum()):
            found['coverage_90'] = self.gaussian.compute()['coverage_90']
        return {name: None if value is None or not math.isfinite(float(value)) else float(value)
                for name, value in found.items()}


class Cells:
    """The figures of all cells, filled while pictures are observed."""

    def __init__(self, observer: Observer) -> None:
        metadata = observer.metadata
        self._arguments = (len(metadata.classes), 'depth' in metadata.tasks, metadata.depth_form)
        self.cells: dict[tuple[str, int], Cell] = {}

    def add(self, picture: Picture, maps: NetworkMaps) -> None:
        """Add a picture to its cell."""
        cell = self.cells.setdefault((picture.kind, picture.severity), Cell(*self._arguments))
        cell.add(maps, truth_at(picture.example, maps.size))
