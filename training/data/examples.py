# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the loaders read: training views and whole validation images, reproducible by index."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from emu_perception.preprocessing import resized_image
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..recipes.sections import AugmentationRecipe
from .augmentation import nearest, random_view
from .dataset_folder import DatasetFolder, Example, IGNORE
from .instances import centroid_vectors

Batch = dict[str, torch.Tensor]


class ExampleCache:
    """
    Decoded examples, each read once and then kept in memory.

    :param keep: False reads each time, for data sets larger than memory.
    :param inverse: read inverse depths too.
    :param instance: read instance ids too.
    """

    def __init__(self, folder: DatasetFolder, stems: list[str], keep: bool = True, *,
                 inverse: bool = False, instance: bool = False) -> None:
        self.folder, self.stems, self.keep = folder, stems, keep
        self.inverse, self.instance = inverse, instance
        self._examples: dict[int, Example] = {}

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> Example:
        example = self._examples.get(index)
        if example is None:
            example = self.folder.example(self.stems[index], inverse=self.inverse,
                                          instance=self.instance)
            if self.keep:
                self._examples[index] = example
        return example


def has_truth(examples: ExampleCache, kinds: Collection[str], indices: Iterable[int]) -> bool:
    """
    Return whether a pixel of any of some examples has a truth that is known.

    :param kinds: of truth, that count: 'label', 'depth', 'inverse', 'instance'.
    """
    def known(one: Example) -> bool:
        return any(bool(found.any()) for kind, found in (
            ('label', None if one.label is None else one.label != IGNORE),
            ('depth', None if one.depth is None else one.depth > 0),
            ('inverse', None if one.inverse is None else one.inverse >= 0),
            ('instance', None if one.instance is None else one.instance > 0))
            if kind in kinds and found is not None)
    return any(known(examples[index]) for index in indices)


class TrainingViews(Dataset[Batch]):
    """
    Random views; item (epoch, index) is the same view in every run with the same seed.

    :param whole: (height, width) of a whole image at scale 1.
    :param crop: (height, width) of the views; None = ``whole``.
    """

    def __init__(self, examples: ExampleCache, whole: tuple[int, int], recipe: AugmentationRecipe,
                 seed: int, crop: tuple[int, int] | None = None) -> None:
        self.examples, self.whole, self.recipe, self.seed = examples, whole, recipe, seed
        self.crop = crop or whole

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        rng, index = view_generator(self.seed, key), key[1]
        return to_tensors(random_view(
            self.examples[index], self.crop, self.recipe, rng, self.whole,
            in_pixels(self.examples.folder)), index)


def view_generator(seed: int, key: tuple[int, int]) -> np.random.Generator:
    """Return what draws the view (epoch, index): of one seed the same in every run."""
    return np.random.default_rng((seed, *key))


class WholeImages(Dataset[Batch]):
    """Validation: whole images resized to the network's size, truth at its own full size."""

    def __init__(self, examples: ExampleCache, size: tuple[int, int]) -> None:
        self.examples, self.size = examples, size

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Batch:
        example = self.examples[index]
        image = resized_image(example.image, self.size)
        inverse, instance = example.inverse, example.instance
        if inverse is not None and in_pixels(self.examples.folder):
            # Unknown stays negative, the sky 0.
            inverse = inverse * np.float32(self.size[1] / example.image.shape[1])
        return to_tensors(
            Example(example.stem, image, example.label, example.depth, inverse,
                    # Vectors are the network's: in its pixels, at its size.
                    None if instance is None else nearest(instance, self.size)), index)


def in_pixels(folder: DatasetFolder) -> bool:
    """Return whether a folder's inverse depths grow with its images: disparities do."""
    return folder.depth is not None and folder.depth.quantity == 'disparity'


class EpochSampler(Sampler[tuple[int, int]]):
    """
    Yields (epoch, index) in an order that depends on seed and epoch only: resume continues it.

    With several processes each takes its own part of the order, all of the same length.

    :param epoch: returns the current epoch. It is asked when an epoch's first index is drawn:
        Lightning makes a resumed run's iterator before it calls ``set_epoch``, so that would come
        too late.
    :param processes: how many share the work.
    :param rank: returns which of them this is.
    """

    def __init__(self, length: int, seed: int, epoch: Callable[[], int], processes: int = 1,
                 rank: Callable[[], int] = lambda: 0) -> None:
        self.length, self.seed, self.epoch = length, seed, epoch
        self.processes, self.rank = processes, rank

    def __len__(self) -> int:
        return self.length // self.processes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.epoch()
        order = np.random.default_rng((self.seed, epoch, 2**31)).permutation(self.length)
        part = order[self.rank()::self.processes][:len(self)]
        yield from ((epoch, int(index)) for index in part)


class ShardSampler(Sampler[int]):
    """Yields every image to exactly one process: counts that are summed must not see one twice."""

    def __init__(self, length: int, processes: int = 1,
                 rank: Callable[[], int] = lambda: 0) -> None:
        self.length, self.processes, self.rank = length, processes, rank

    def __len__(self) -> int:
        return len(range(self.rank(), self.length, self.processes))

    def __iter__(self) -> Iterator[int]:
        yield from range(self.rank(), self.length, self.processes)


def to_tensors(example: Example, index: int) -> Batch:
    """
    Turn an example into tensors.

    :return: image uint8 [3, H, W], label uint8 [H, W] (255 where unknown), depth float32 [H, W]
        (0 where unknown), index int64 []; where the example has them inverse float32 [H, W]
        (negative where unknown) and, at the instances' own size, vectors float32 [2, H, W] with
        on_instance bool [H, W].
    """
    height, width = (example.label if example.label is not None else
                     example.depth if example.depth is not None else example.image).shape[:2]
    label = example.label
    if label is None:
        label = np.full((height, width), IGNORE, np.uint8)
    depth = example.depth if example.depth is not None else np.zeros((height, width), np.float32)
    batch = {'image': torch.from_numpy(np.ascontiguousarray(example.image)).permute(2, 0, 1),
             'label': torch.from_numpy(label), 'depth': torch.from_numpy(depth),
             'index': torch.tensor(index)}
    if example.inverse is not None:
        batch['inverse'] = torch.from_numpy(example.inverse)
    if example.instance is not None:
        batch['vectors'] = torch.from_numpy(centroid_vectors(example.instance))
        batch['on_instance'] = torch.from_numpy(example.instance > 0)
    return batch
