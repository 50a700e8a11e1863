# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
What a frozen encoder makes of training views, kept in files that the views themselves name.

A file's name is the hash of a view's pixels: whatever another image, size or augmentation makes of
a view, it has other features or none, never those of what it was before. The folder's name is the
hash of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import hashlib
from pathlib import Path
import zlib

from emu_perception.whole_files import write_whole
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
import torch
from torch.utils.data import Dataset

from ..recipes.options import RecipeError
from ..recipes.sections import AugmentationRecipe
from .augmentation import draw_view, random_view
from .dataset_folder import DatasetError, Example
from .examples import Batch, TrainingViews

_SUFFIX = '.safetensors'
_NAME = 'features{}'
_CHECKSUM_BYTES = 4  # Behind all others: of the length alone nobody sees a bit that has turned.


def kept_maps(batch: Batch) -> list[torch.Tensor] | None:
    """Return the encoder's maps that a batch brings, float32 [B, C, h, w]; None = it has none."""
    names = [name for name in map(_NAME.format, range(len(batch))) if name in batch]
    return [batch[name].float() for name in names] or None


@dataclass(frozen=True)
class FeatureStore:
    """
    Features of one encoder.

    :ivar folder: of this encoder, in this precision.
    :ivar dtype: in which they are kept.
    """

    folder: Path
    dtype: torch.dtype

    def path(self, image: torch.Tensor) -> Path:
        """Return where the features of a view, uint8 [3, H, W], are kept."""
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=20)
        digest.update(pixels.data)
        return self.folder / f'{digest.hexdigest()}{_SUFFIX}'

    def content(self, maps: Sequence[torch.Tensor]) -> bytes:
        """
        Return the file of one view's maps [C, h, w], its checksum at the end.

        :raises RecipeError: if a value is beyond the range of the type.
        """
        tensors = {_NAME.format(i): x.to(self.dtype).contiguous() for i, x in enumerate(maps)}
        if not all(torch.isfinite(x).all() for x in tensors.values()):
            largest = max(float(x.abs().max()) for x in maps)
            raise RecipeError(f"field 'cache_features' is '{str(self.dtype)[6:]}', but the "
                              f'encoder gives values of {largest:g}: give '
                              'cache_features=float32, or none')
        content = save(tensors)
        return content + _checksum(content)

    def holds(self, path: Path, length: int) -> bool:
        """
        Tell whether a file is there as it was written.

        :param length: that it has to have, bytes.
        """
        try:
            return path.stat().st_size == length and _is_sound(path.read_bytes())
        except OSError:
            return False

    def write(self, path: Path, content: bytes) -> None:
        """
        Keep a file, whole or not at all.

        :raises OSError: names the path.
        """
        write_whole(path, content)

    def read(self, image: torch.Tensor) -> Batch:
        """
        Return the features of a view, by their names in a batch.

        :raises DatasetError: if they are gone or damaged.
        """
        path = self.path(image)
        try:
            data = path.read_bytes()
            if not _is_sound(data):
                raise SafetensorError('its checksum is another')
            return load(data[:-_CHECKSUM_BYTES])
        except (OSError, SafetensorError) as error:
            raise DatasetError(f'{path}: features of a training image are gone or damaged: the '
                               'same command makes them again, with --resume where an epoch is '
                               'kept') from error


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, 'big')


def _is_sound(data: bytes) -> bool:
    """Tell whether a file is as it was written."""
    content = memoryview(data)
    return _checksum(content[:-_CHECKSUM_BYTES]) == content[-_CHECKSUM_BYTES:]


class ViewsWithFeatures(Dataset[Batch]):
    """Training views with the features that are kept of them."""

    def __init__(self, views: TrainingViews, store: FeatureStore) -> None:
        self.views, self.store = views, store

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        batch = self.views[key]
        return {**batch, **self.store.read(batch['image'])}


def flips_of(recipe: AugmentationRecipe) -> tuple[bool, ...]:
    """Return whether views are never, always or sometimes flipped, as what is to be kept."""
    return tuple(flip for flip, share in ((False, 1.0 - recipe.flip_probability),
                                          (True, recipe.flip_probability)) if share > 0)


def fixed_view(example: Example, size: tuple[int, int], recipe: AugmentationRecipe,
               flip: bool) -> torch.Tensor:
    """
    Return the one view of an example that a recipe whose features are kept shows, uint8 [3, H, W].

    :raises RecipeError: if it has several: an image of another aspect lies somewhere in its view.
    """
    certain = replace(recipe, flip_probability=float(flip))
    height, width = example.image.shape[:2]
    drawn = draw_view((height, width), size, certain, np.random.default_rng(0))
    if drawn.seen != (height, width) or drawn.target != size:
        raise RecipeError(f"field 'input_size' is {list(size)}, into which image '{example.stem}' "
                          f'of {height}x{width} does not fit exactly, so that views lie at random '
                          "places, and 'cache_features' is on: give input_size of its aspect, or "
                          'cache_features=none')
    view = random_view(example, size, certain, np.random.default_rng(0))
    return torch.from_numpy(np.ascontiguousarray(view.image)).permute(2, 0, 1)
