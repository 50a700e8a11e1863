# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the loaders read: training views and whole validation images, reproducible by index."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from training.augmentation import random_view
from training.data.dataset_folder import DatasetFolder, IGNORE, Sample
from training.recipe import AugmentationRecipe

Batch = dict[str, torch.Tensor]


class SampleCache:
    """Decoded samples, each read once and then kept in memory."""

    def __init__(self, folder: DatasetFolder, stems: list[str]) -> None:
        self.folder, self.stems = folder, stems
        self._samples: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> Sample:
        sample = self._samples.get(index)
        if sample is None:
            sample = self._samples[index] = self.folder.sample(self.stems[index])
        return sample


class TrainingViews(Dataset[Batch]):
    """
    Random views; item (epoch, index) is the same view in every run with the same seed.

    :param size: (height, width) of the views.
    """

    def __init__(self, samples: SampleCache, size: tuple[int, int], recipe: AugmentationRecipe,
                 seed: int) -> None:
        self.samples, self.size, self.recipe, self.seed = samples, size, recipe, seed

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        return to_tensors(random_view(self.samples[index], self.size, self.recipe, rng), index)


class WholeImages(Dataset[Batch]):
    """Validation: whole images resized to the network's size, truth at its own full size."""

    def __init__(self, samples: SampleCache, size: tuple[int, int]) -> None:
        self.samples, self.size = samples, size

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        sample = self.samples[index]
        shrinks = sample.image.shape[0] > self.size[0]
        image = cv2.resize(sample.image, self.size[::-1],
                           interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return to_tensors(Sample(sample.stem, image, sample.label, sample.depth), index)


class EpochSampler(Sampler[tuple[int, int]]):
    """
    Yields (epoch, index) in an order that depends on seed and epoch only: resume continues it.

    :param epoch: returns the current epoch. It is asked when an epoch's first index is drawn:
        Lightning makes a resumed run's iterator before it calls ``set_epoch``, so that would come
        too late.
    """

    def __init__(self, length: int, seed: int, epoch: Callable[[], int]) -> None:
        self.length, self.seed, self.epoch = length, seed, epoch

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        order = np.random.default_rng((self.seed, epoch, 2**31)).permutation(self.length)
        yield from ((epoch, int(index)) for index in order)


def to_tensors(sample: Sample, index: int) -> Batch:
    """
    Turn a sample into tensors.

    :return: image uint8 [3, H, W], label uint8 [H, W] (255 where unknown), depth float32 [H, W]
        (0 where unknown), index int64 [].
    """
    height, width = (sample.label if sample.label is not None else
                     sample.depth if sample.depth is not None else sample.image).shape[:2]
    label = sample.label
    if label is None:
        label = np.full((height, width), IGNORE, np.uint8)
    depth = sample.depth if sample.depth is not None else np.zeros((height, width), np.float32)
    return {'image': torch.from_numpy(np.ascontiguousarray(sample.image)).permute(2, 0, 1),
            'label': torch.from_numpy(label), 'depth': torch.from_numpy(depth),
            'index': torch.tensor(index)}
