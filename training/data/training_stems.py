# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The images that a run learns from: those of its splits, without the fold that it leaves out."""

from __future__ import annotations

from ..recipes.options import RecipeError
from ..recipes.recipe import fold_of, Recipe
from .dataset_folder import DatasetFolder
from .frame_runs import folds, frame_runs


def training_stems(recipe: Recipe, folder: DatasetFolder) -> list[str]:
    """
    Return the stems that a run learns from, in the order of their files.

    :raises DatasetError: if a split cannot be read.
    :raises RecipeError: if a fold cannot be left out: one that is none, or all there is.
    """
    stems = [stem for split in recipe.train_on.split('+') for stem in folder.stems(split)]
    if recipe.left_out_fold == 'none':
        return stems
    fold, count = fold_of(recipe.left_out_fold)
    parts = folds(frame_runs(stems), count)
    if len(parts) < count:
        most = f'give I/{len(parts)} at most' if len(parts) > 1 else "give 'none'"
        raise RecipeError(f"field 'left_out_fold' is {recipe.left_out_fold}, but {folder.root} "
                          f'has {len(parts)} run{"s" * (len(parts) != 1)} of frames: {most}')
    left_out = frozenset(parts[fold - 1])
    return [stem for stem in stems if stem not in left_out]
