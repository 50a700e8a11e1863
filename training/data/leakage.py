# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a network has learned from cannot choose, calibrate or measure it."""

from __future__ import annotations

from pathlib import Path

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError

from ..recipes.options import RecipeError
from .dataset_folder import DatasetFolder


def trained_on(metadata: CheckpointMetadata, folder: DatasetFolder, split: str) -> bool:
    """
    Return whether a network has learned from the images of this split of this data set.

    Outputs that were added to it may have learned from others than it did, and what it started
    from, or was taught by, too, several data sets ago.
    """
    provenance = metadata.provenance
    return any(part.get('data_set') == folder.name and split in str(part.get('split')).split('+')
               for part in (provenance, provenance.get('epistemic') or {},
                            *(provenance.get('ancestors') or ())))


def check_unseen(path: Path, metadata: CheckpointMetadata, folder: DatasetFolder,
                 split: str) -> None:
    """
    Check that a network, and what it comes from, has not learned from what it is measured on.

    :raises InputError: if it has.
    """
    if trained_on(metadata, folder, split):
        raise InputError(f"{path}: was trained on '{split}' of {folder.name} too: what is "
                         'measured there flatters it; give another split')


def check_leakage(train_on: str, folder: DatasetFolder, metadata: CheckpointMetadata,
                  field: str, path: str) -> None:
    """
    Check that what a network starts or learns from has not seen what it is chosen by.

    :param train_on: of the recipe: 'train' leaves val to choose by.
    :raises RecipeError: if it has.
    """
    if train_on == 'train' and trained_on(metadata, folder, 'val'):
        raise RecipeError(f"field '{field}' names {path}, which was trained on val of "
                          f'{folder.name} too: give one trained on train, or train_on=train+val')
