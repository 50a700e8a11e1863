# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Ask whether the flag can be trusted: by kind and severity of what may be wrong."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from typing import Any

from emu_perception.checkpoint import load_answering
from emu_perception.corruptions import CORRUPTIONS
from emu_perception.corruptions.content import restyled
from emu_perception.corruptions.photographs import no_room_files, read_rgb
from emu_perception.devices import resolved_device
from emu_perception.errors import InputError
from emu_perception.observer import Observer
from emu_perception.scores import fitted_scores
import numpy as np
from rich.progress import track

from ..arguments.studies.trust import CORRUPTED, parser
from ..calibration.familiarity import fit_familiar, fit_scores
from ..calibration.observations import observed, training_observations
from ..calibration.training_pictures import border_of, FITTED_BREAKS, Picture
from ..command_line import evenly_spaced, study_command
from ..data.dataset_folder import DatasetFolder, Example
from ..data.leakage import check_unseen
from ..data.unknown_camera import warn_of_camera
from ..reporting.trust_study import table, trust_figure
from .image_folders import image_groups
from .trust_cells import Cells, ruler_cells, ruler_pictures
from .trust_summary import summary

_OWN_GROUPS = ('no_rooms', 'no_rooms_restyled')


def study(checkpoint: Path, folder: DatasetFolder, split: str, *, percentile: float = 95.0,
          corrupted: int = CORRUPTED, train_limit: int | None = None, limit: int | None = None,
          others: dict[str, list[Path]] | None = None, kept: Path | None = None,
          device: str = 'auto', progress: bool = True) -> dict[str, Any]:
    """
    Return the study of a checkpoint.

    :param percentile: of the clean images, for the joint threshold.
    :param corrupted: pictures of each training image for the fit.
    :param train_limit: only so many training images, evenly spaced; ``limit`` likewise, of the
        split.
    :param others: images of which nothing is known, by name.
    :param kept: a folder where what the network gave is kept for the next run.
    :raises EmuError: if a file cannot be used.
    """
    network, metadata = load_answering(checkpoint)
    check_unseen(checkpoint, metadata, folder, split)
    folder.check_classes(metadata.classes, checkpoint)
    warn_of_camera(folder, metadata)
    observer = Observer(network, metadata, checkpoint, resolved_device(device))
    border = border_of(metadata)
    stems = evenly_spaced(folder.stems('train'), train_limit)
    fit = training_observations(observer, network, folder, stems, corrupted, kept, progress)
    # First what a wrong file would end.
    groups = {name: observed(observer, _photographs(files))
              for name, files in (others or {}).items()}
    photographs = [read_rgb(path) for path in no_room_files()]
    if photographs:
        for name, own in zip(_OWN_GROUPS, (photographs, [restyled(rgb) for rgb in photographs])):
            groups[name] = observed(observer, _pictures(own))
    cells = Cells(observer)
    measured_stems = evenly_spaced(folder.stems(split), limit)
    pictures = observed(observer, track(
        ruler_pictures(folder, measured_stems, border), 'ruler',
        len(measured_stems) * len(ruler_cells()), disable=not progress), cells.add)
    familiar = fit_familiar(fit, observer.familiar_length)
    unseen = {kind: fit_scores(fit, familiar, kind) for kind in (*CORRUPTIONS, *FITTED_BREAKS)}
    names = [row.name for row in fitted_scores(metadata.tasks)]
    return {'checkpoint': checkpoint.name, 'data_set': folder.name, 'split': split,
            'images': len(measured_stems), 'border': border, 'percentile': percentile,
            'fitted_to': {'split': 'train', 'images': len(stems), 'pictures': len(fit.stem)},
            **summary(fit_scores(fit, familiar), unseen, pictures, groups, names, percentile,
                      {cell: part.figures() for cell, part in cells.cells.items()})}


def _photographs(files: Sequence[Path]) -> list[Picture]:
    return _pictures([read_rgb(path) for path in files])


def _pictures(images: Sequence[np.ndarray]) -> list[Picture]:
    """Return images without truth, nor a known camera."""
    return [Picture(Example(f'photograph{i}', rgb, None, None), 'other', 0, None)
            for i, rgb in enumerate(images)]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    def measured(options: argparse.Namespace) -> dict[str, Any]:
        if not 0 < options.percentile <= 100:
            raise InputError(f'--percentile is {options.percentile:g}: give above 0, up to 100')
        others = image_groups(options.images, _OWN_GROUPS)
        return study(options.checkpoint, DatasetFolder(options.data), options.split,
                     percentile=options.percentile, corrupted=options.corrupted,
                     train_limit=options.train_limit, limit=options.limit, others=others,
                     kept=options.observations, device=options.device,
                     progress=not options.no_progress)
    return study_command(parser(), arguments, measured, table,
                         ('corrupted', 'train_limit', 'limit'), {'figure': trust_figure})


if __name__ == '__main__':
    sys.exit(main())
