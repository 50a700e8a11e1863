# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is checked before a run starts, or goes on: no hour is spent on what cannot end well."""

from __future__ import annotations

from pathlib import Path

from emu_perception.errors import InputError
from emu_perception.pictures import check_image
from emu_perception.preprocessing import network_size
import torch

from ..data.dataset_folder import DatasetError, DatasetFolder
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from .run_folder import check_same_recipe, epochs_done

_ASPECT_OFF = 0.08  # What validation and the robot may stretch an image by.


def check_start(recipe: Recipe, last: Path, resume: bool) -> int:
    """
    Check that a run may start, or go on, in its folder.

    :return: the epoch it begins with.
    :raises RecipeError: if an earlier run would be lost, or is another, or there is none.
    """
    if resume and not last.exists():
        raise RecipeError(f'--resume: {last} does not exist; start without --resume')
    if not resume:
        if last.exists():
            raise RecipeError(f'{recipe.folder}: holds a run of {epochs_done(recipe.folder)} '
                              'epochs: add --resume to go on, or choose another name=...')
        return 0
    check_same_recipe(recipe, longer=True)
    try:
        # Our own file: it may hold more than tensors.
        return int(torch.load(last, map_location='cpu', weights_only=False)['epoch']) + 1
    except Exception as error:  # A damaged pickle raises many kinds.
        raise RecipeError(f'{last}: not a state of a run ({type(error).__name__}): remove '
                          f'{recipe.folder} and start again') from error


def check_batch(recipe: Recipe, folder: DatasetFolder, images: int) -> None:
    """
    Check that the training images are a batch at least: smaller ones are dropped.

    :raises RecipeError: if they are not.
    """
    if images >= recipe.batch_size:
        return
    lists = ' and '.join(f'{split}.txt' for split in recipe.train_on.split('+'))
    fold = recipe.left_out_fold
    less = '' if fold == 'none' else f' without fold {fold}'
    raise RecipeError(f"field 'batch_size' is {recipe.batch_size}, but {folder.root}/{lists} "
                      f'has {images} images{less}: lower it')


def check_aspect(size: tuple[int, int], folder: DatasetFolder) -> None:
    """
    Check that whole images have the aspect of the network's input.

    Else views would be letterboxed where validation and the robot stretch, and depths would be
    scaled by another focal length than they were learned with.

    :raises RecipeError: if they have not; it names a size that has.
    :raises DatasetError: if they are none that a robot's network answers for.
    """
    first = folder.image(folder.stems('val')[0])
    try:
        check_image(first)
    except InputError as error:
        raise DatasetError(f"{folder.image_path(folder.stems('val')[0])}: {error}") from error
    height, width = first.shape[:2]
    if abs(height * size[1] / (width * size[0]) - 1) > _ASPECT_OFF:
        better = list(network_size((height, width), size, _ASPECT_OFF))
        raise RecipeError(f"field 'input_size' is {list(size)}, of another aspect "
                          f'than the images of {folder.root} ({height}x{width}): give '
                          f'input_size={better}')
