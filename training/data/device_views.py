# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Views cut in batches on a device, each the one that ``training.data.augmentation`` would cut.

Resampling is separable: a line (row or column) of a view is a weighted sum of a few neighbouring
lines of its image. All shapes follow from the recipe and nothing is read back: the processor never
waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math

import torch

from ..recipes.sections import AugmentationRecipe
from .augmentation import base_scale, GREY, PACKED
from .dataset_folder import IGNORE
from .examples import ExampleCache
from .resident import load_resident, ResidentImages

Batch = dict[str, torch.Tensor]


class DeviceViews:
    """
    Makes batches of views of images that are held on a device.

    :param size: (height, width) of the views.
    :param whole: (height, width) of a whole image at scale 1.
    """

    def __init__(self, images: ResidentImages, size: tuple[int, int], whole: tuple[int, int],
                 recipe: AugmentationRecipe) -> None:
        self.images, self.size, self.recipe = images, size, recipe
        self.taps = most_taps(images.size, size, whole, recipe)
        # Made once: a tensor made of numbers waits for its copy to the device.
        self._grey = torch.tensor(GREY, device=images.image.device)

    def __deepcopy__(self, memo: dict[int, object]) -> DeviceViews:
        # A copy of the module (the moving average of its weights) needs no images of its own.
        return self

    def __call__(self, drawn: Batch) -> Batch:
        """
        Return a batch of views as the loader makes them, its images in channels-last memory.

        :param drawn: view float64 [B, 14] (``View.packed``) and index int64 [B], of the images.
        """
        held, index = self.images, drawn['index']
        view = dict(zip(PACKED, drawn['view'].split(list(PACKED.values()), dim=1)))
        shrinks = view['seen'].prod(1) > view['target'].prod(1)
        rows, columns = (
            lines(view['start'][:, axis], view['seen'][:, axis], view['place'][:, axis],
                  view['target'][:, axis], view['flip'][:, 0] > 0 if axis else None, shrinks,
                  length, self.taps) for axis, length in enumerate(self.size))
        inside = rows.inside[:, :, None] & columns.inside[:, None]
        fill = held.color[index, view['borderless'][:, 0].long()].float()
        picture = torch.where(inside[..., None], resampled(held.image, index, rows, columns),
                              fill[:, None, None])
        if self.recipe.color_jitter > 0:
            picture = self._jittered(picture, view['jitter'].float())
        where = (index[:, None, None], rows.nearest[:, :, None], columns.nearest[:, None])
        depth = held.depth[where]
        if self.recipe.depth_scale_policy == 'divide':
            depth = depth * view['depth_factor'].float()[:, :, None]
        return {'image': picture.to(torch.uint8).permute(0, 3, 1, 2),
                'label': held.label[where].masked_fill(~inside, IGNORE),
                'depth': depth.masked_fill(~inside, 0.0), 'index': index}

    def _jittered(self, picture: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """Change the colours of whole grey levels [B, H, W, 3]: ``augmentation.jittered``."""
        brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
        grey = (picture * self._grey).sum(-1, keepdim=True)
        colors = saturation * picture + (1 - saturation) * grey
        middle = grey.mean(dim=(1, 2), keepdim=True)
        changed = brightness * (contrast * colors + (1 - contrast) * middle)
        return changed.round().clamp(0, 255)


def views_on_device(examples: ExampleCache, size: tuple[int, int], whole: tuple[int, int],
                    recipe: AugmentationRecipe, progress: bool,
                    ) -> Callable[[torch.device], DeviceViews]:
    """
    Return what holds the training images on a device, to cut their views there.

    :raises EmuError: if they cannot be held, when it is called.
    """
    def held(device: torch.device) -> DeviceViews:
        first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
        images = load_resident(examples, device, recipe.border, progress and first)
        return DeviceViews(images, size, whole, recipe)
    return held


@dataclass(frozen=True)
class Lines:
    """
    Which lines of the images make the lines of the views; L lines, each of T at most.

    :ivar source: int64 [B, L, T], lines of the image.
    :ivar weight: float32 [B, L, T], with sum 1.
    :ivar nearest: int64 [B, L], the one line for what cannot be averaged.
    :ivar inside: bool [B, L], False = padding.
    """

    source: torch.Tensor
    weight: torch.Tensor
    nearest: torch.Tensor
    inside: torch.Tensor


def lines(start: torch.Tensor, seen: torch.Tensor, place: torch.Tensor, target: torch.Tensor,
          flip: torch.Tensor | None, shrinks: torch.Tensor, length: int, taps: int) -> Lines:
    """
    Return the lines of views along one axis.

    :param start: float64 [B], as ``seen``, ``place`` and ``target`` whole numbers: see ``View``.
    :param flip: bool [B]; None = not along this axis.
    :param shrinks: bool [B]: average areas; else interpolate (``preprocessing.resized_image``).
    :param length: of the views.
    :param taps: of ``most_taps``.
    """
    start, seen, place, target, shrinks = (
        part[:, None] for part in (start, seen, place, target, shrinks))
    at = torch.arange(length, device=start.device, dtype=start.dtype)[None]
    if flip is not None:
        at = torch.where(flip[:, None], length - 1 - at, at)
    at = at - place
    inside = (at >= 0) & (at < target)
    at = torch.minimum(at.clamp(min=0), target - 1)
    ratio = seen / target
    # Of [low, high) of the image, in lines, the average; or its value in the middle.
    low, high = at * ratio, (at + 1) * ratio
    middle = torch.minimum(((low + high - 1) / 2).clamp(min=0), seen - 1)
    first = torch.where(shrinks, low, middle).floor()
    source = first[..., None] + torch.arange(taps, device=start.device)
    area = torch.minimum(source + 1, high[..., None]) - torch.maximum(source, low[..., None])
    linear = 1 - (source - middle[..., None]).abs()
    weight = torch.where(shrinks[..., None], area, linear).clamp(min=0)
    # Rounding may leave a trace of weight to the line behind the last one.
    weight = torch.where(source < seen[..., None], weight, 0)
    weight = weight / weight.sum(-1, keepdim=True)
    source = torch.minimum(source, seen[..., None] - 1) + start[..., None]
    # Not low: rounded as OpenCV rounds, which makes labels and depths the very same.
    nearest = torch.minimum((at * (1 / (target / seen))).floor(), seen - 1) + start
    return Lines(source.long(), weight.float(), nearest.long(), inside)


def most_taps(image_size: tuple[int, int], size: tuple[int, int], whole: tuple[int, int],
              recipe: AugmentationRecipe) -> int:
    """Return how many lines of the image a line of any of the recipe's views may be made of."""
    border = recipe.border if recipe.border_probability > 0 else (0, 0, 0, 0)
    sides = (image_size[0] - sum(border[:2]), image_size[1] - sum(border[2:]))
    most = 1 / (base_scale(image_size, whole) * recipe.scale[0])
    # A part of n lines of the view is rounded to n - 1/2 or more, and to 1 or more: each line then
    # stands for n / (n - 1/2) times as much, at worst for the smallest n.
    fewest = max(1.5, min(*size, *(side / most for side in sides)))
    # A stretch of r lines touches r + 1 of them, rounded up; interpolation needs two.
    return max(2, math.ceil(most * fewest / (fewest - 0.5)) + 1)


def resampled(images: torch.Tensor, index: torch.Tensor, rows: Lines,
              columns: Lines) -> torch.Tensor:
    """
    Resample images.

    :param images: uint8 [N, H, W, 3].
    :param index: int64 [B], which of them.
    :return: whole grey levels as float32 [B, rows, columns, 3].
    """
    # Whole rows of the images come first: they lie together in memory.
    parts = (images[index[:, None], rows.source[..., tap]] * rows.weight[..., tap, None, None]
             for tap in range(rows.source.shape[-1]))
    tall = sum(parts, start=torch.zeros((), device=images.device))
    height, channels = tall.shape[1], tall.shape[3]
    wide = columns.source[:, None, :, :, None].expand(-1, height, -1, -1, channels)
    parts = (tall.gather(2, wide[..., tap, :]) * columns.weight[:, None, :, tap, None]
             for tap in range(wide.shape[3]))
    return sum(parts, start=torch.zeros((), device=images.device)).round()
