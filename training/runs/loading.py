# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a run: what is read of them, and the loaders of training and validation."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader, Subset

from ..data.dataset_folder import DatasetFolder
from ..data.examples import (
    EpochSampler,
    ExampleCache,
    ShardSampler,
    TrainingViews,
    WholeImages,
)
from ..data.feature_store import FeatureStore, ViewsWithFeatures
from ..data.resident import DrawnViews
from ..data.training_stems import training_stems
from ..methods.module import TrainingModule
from ..recipes.recipe import Recipe
from .choosing import truth_kinds, validated


def example_caches(recipe: Recipe, folder: DatasetFolder) -> tuple[ExampleCache, ExampleCache]:
    """Return the examples of train and val, with the truth that the recipe's network learns."""
    truth = truth_kinds(recipe)
    train, val = (
        ExampleCache(folder, stems, recipe.cache_images, inverse='inverse' in truth,
                     instance='instance' in truth)
        for stems in (training_stems(recipe, folder), folder.stems('val')))
    return train, val


def loaders(recipe: Recipe, module: TrainingModule, train: ExampleCache, val: ExampleCache,
            first_epoch: int = 0, store: FeatureStore | None = None,
            ) -> tuple[DataLoader, DataLoader]:
    """
    Return the loaders of training views and of whole validation images.

    :param first_epoch: of this part of the run. Worker processes are asked for views before
        Lightning has restored the epoch.
    :param store: of the features of all training views; None = the encoder makes them.
    """
    processes = recipe.processes
    how = (recipe.input_size, recipe.augmentation, recipe.seed, recipe.crop_size)
    cut = TrainingViews(train, *how)
    views: DrawnViews | TrainingViews | ViewsWithFeatures = cut
    if store is not None:
        views = ViewsWithFeatures(cut, store)
    if recipe.views == 'device':
        height, width = train.folder.image(train.stems[0]).shape[:2]
        views = DrawnViews(len(train), (height, width), *how)
    sampler = EpochSampler(
        len(views), recipe.seed, lambda: max(first_epoch, module.current_epoch), processes,
        lambda: module.global_rank)
    # A last batch that is not full is dropped: batch norm needs more than one image.
    loader = DataLoader(views, recipe.batch_size // processes, sampler=sampler, drop_last=True,
                        num_workers=recipe.workers, persistent_workers=recipe.workers > 0,
                        pin_memory=torch.cuda.is_available())
    chosen = validated(recipe, len(val))
    images = Subset(WholeImages(val, recipe.input_size), chosen)
    return loader, DataLoader(images, 1, sampler=ShardSampler(len(chosen), processes,
                                                              lambda: module.global_rank))
