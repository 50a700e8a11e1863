# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A split of a data set held on the device that trains, and a loader that only draws views."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track
import torch
from torch.utils.data import Dataset

from ..recipes.options import RecipeError
from ..recipes.sections import AugmentationRecipe
from .augmentation import draw_view, mean_color
from .dataset_folder import DatasetError, Example, IGNORE
from .examples import ExampleCache, view_generator

_MEMORY = Path('/proc/meminfo')


@dataclass(frozen=True)
class ResidentImages:
    """
    Images of one size with their truth, on one device.

    Depth stays float32: float16 is 8 mm coarse at 10 m, and half of it would save a fifth of all.

    :ivar image: uint8 [N, H, W, 3].
    :ivar label: uint8 [N, H, W], 255 = unlabelled.
    :ivar depth: float32 [N, H, W], metres, 0 = invalid.
    :ivar color: uint8 [N, 2, 3], mean colour of the image and of what lies within the border.
    """

    image: torch.Tensor
    label: torch.Tensor
    depth: torch.Tensor
    color: torch.Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the images."""
        return self.image.shape[1], self.image.shape[2]


class DrawnViews(Dataset[dict[str, torch.Tensor]]):
    """
    Views that are drawn and not cut; item (epoch, index) is drawn as ``TrainingViews`` does.

    :param count: of images.
    :param image_size: (height, width) of each.
    :param whole: (height, width) of a whole image at scale 1.
    :param crop: (height, width) of the views; None = ``whole``.
    """

    def __init__(self, count: int, image_size: tuple[int, int], whole: tuple[int, int],
                 recipe: AugmentationRecipe, seed: int,
                 crop: tuple[int, int] | None = None) -> None:
        self.count, self.image_size, self.whole = count, image_size, whole
        self.recipe, self.seed, self.crop = recipe, seed, crop or whole

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        view = draw_view(self.image_size, self.crop, self.recipe, view_generator(self.seed, key),
                         self.whole)
        return {'view': torch.from_numpy(view.packed()), 'index': torch.tensor(key[1])}


def load_resident(examples: ExampleCache, device: torch.device,
                  border: tuple[int, int, int, int], progress: bool = True) -> ResidentImages:
    """
    Decode the images of a split once and hold them on a device.

    :param border: of the recipe's augmentation.
    :raises DatasetError: if they are not of one size, or one cannot be read.
    :raises RecipeError: if they do not fit in the device's free memory.
    """
    folder, count = examples.folder, len(examples)
    size = folder.image(examples.stems[0]).shape[:2]
    needed, free = resident_bytes(count, size), free_bytes(device)
    if free is not None and needed > free:
        raise RecipeError(f"field 'views' is 'device': the {count} training images of "
                          f'{folder.root} need {needed / 1e9:.3g} GB on {device}, which has '
                          f'{free / 1e9:.3g} GB free: give views=loader')
    held = ResidentImages(
        torch.empty((count, *size, 3), dtype=torch.uint8, device=device),
        torch.empty((count, *size), dtype=torch.uint8, device=device),
        torch.empty((count, *size), device=device),
        torch.empty((count, 2, 3), dtype=torch.uint8, device=device))

    def decoded(stem: str) -> tuple[Example, np.ndarray]:
        example = folder.example(stem)
        if example.image.shape[:2] != size:
            height, width = example.image.shape[:2]
            raise DatasetError(f'{folder.root}/image: {stem} is {width}x{height} and '
                               f'{examples.stems[0]} {size[1]}x{size[0]}, but '
                               "'views' is 'device', which holds images of one size: give "
                               'views=loader')
        return example, np.stack([mean_color(example.image), mean_color(example.image, border)])

    with ThreadPoolExecutor() as pool:
        ready = pool.map(decoded, examples.stems)
        for index, (example, color) in enumerate(track(
                ready, f'train: to {device}', total=count, disable=not progress)):
            held.image[index] = torch.from_numpy(example.image)
            held.color[index] = torch.from_numpy(color)
            for map_, values, unknown in ((held.label, example.label, IGNORE),
                                          (held.depth, example.depth, 0)):
                if values is None:
                    map_[index] = unknown
                else:
                    map_[index] = torch.from_numpy(values)
    return held


def resident_bytes(count: int, size: tuple[int, ...]) -> int:
    """Return what images of a size (height, width) need with label and depth."""
    return count * (size[0] * size[1] * (3 + 1 + 4) + 2 * 3)


def free_bytes(device: torch.device) -> int | None:
    """Return a device's free memory; None where the system does not say."""
    if device.type == 'cuda':
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = dict(line.split(':') for line in _MEMORY.read_text().splitlines())
        return 1024 * int(lines['MemAvailable'].split()[0])
    except (OSError, ValueError, KeyError):
        return None
