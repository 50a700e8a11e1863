# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Where a patch is, for vision transformers of timm on grids of any size and aspect.

Learned embeddings are resampled as timm does it, bicubic with antialiasing, but as two products:
OpenVINO resamples with another cubic (positions 4 % off, measured), and ONNX has none of the kind.
What depends on the grid alone is made once a grid: a copy from the CPU for each image is what a
CUDA graph does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

_CUBIC = -0.5  # torch's coefficient where it antialiases (-0.75 where it does not).


def resampling_matrix(old: int, new: int) -> np.ndarray:
    """Return [new, old] whose product is a bicubic, antialiased resampling along one axis."""
    scale = old / new
    stretch = max(scale, 1.0)
    matrix = np.zeros((new, old))
    for row in range(new):
        centre = scale * (row + 0.5)
        first = max(0, int(centre - 2.0 * stretch + 0.5))
        last = min(old, int(centre + 2.0 * stretch + 0.5))
        x = np.abs((np.arange(first, last) + 0.5 - centre) / stretch)
        weights = np.where(
            x < 1.0, ((_CUBIC + 2.0) * x - (_CUBIC + 3.0)) * x * x + 1.0,
            np.where(x < 2.0, _CUBIC * (((x - 5.0) * x + 8.0) * x - 4.0), 0.0))
        matrix[row, first:last] = weights / weights.sum()
    return matrix


class Remembered:
    """Tensors that depend on a size and a device alone, each made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], torch.Tensor] = {}

    def __call__(self, key: tuple[object, ...],
                 make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return the tensor of a key."""
        if key not in self._known:
            # A tensor made in inference mode could not be used outside of it.
            with torch.inference_mode(False), torch.no_grad():
                made = make()
            if type(made) is not torch.Tensor:  # One that torch.export follows holds no values.
                return made
            self._known[key] = made
        return self._known[key]


def resampled(positions: torch.Tensor, old: tuple[int, int], new: tuple[int, int],
              prefix: int, remembered: Remembered) -> torch.Tensor:
    """
    Resample learned position embeddings to another grid.

    :param positions: [1, prefix + N, C]; N = old height times old width.
    :param prefix: entries before those of the patches, which stay as they are.
    :return: [1, prefix + new height times new width, C].
    """
    if old == new:
        return positions
    grid = positions[0, prefix:].unflatten(0, old)
    grid = grid if grid.dtype == torch.float64 else grid.float()

    def matrix(a: int, b: int) -> torch.Tensor:
        return remembered((a, b, grid.device, grid.dtype),
                          lambda: torch.from_numpy(resampling_matrix(a, b)).to(grid))
    rows, columns = (matrix(a, b) for a, b in zip(old, new))
    with torch.autocast(positions.device.type, enabled=False):
        grid = torch.einsum('vh,hwc->vwc', rows, grid)
        grid = torch.einsum('uw,vwc->vuc', columns, grid).flatten(0, 1)
    return torch.cat([positions[:, :prefix], grid[None].to(positions.dtype)], dim=1)


class Rope:
    """
    A rotary position embedding of timm that is remembered for each grid, outside of training.

    :param rope: timm's module.
    """

    def __init__(self, rope: nn.Module, remembered: Remembered) -> None:
        self._rope, self._remembered = rope, remembered

    def get_embed(self, shape: tuple[int, int]) -> torch.Tensor:
        """Return the embedding of a grid (height, width)."""
        compute: Any = self._rope.get_embed
        if self._rope.training or any(True for _ in self._rope.parameters()):
            embedding: torch.Tensor = compute(shape=list(shape))  # Jittered, or learned.
            return embedding
        return self._remembered(('rope', *shape, next(self._rope.buffers()).device),
                                lambda: compute(shape=list(shape)))


class OnGrid:
    """
    A timm model as its own code sees it where its positions are those of the grid it is given.

    :param model: a ViT or EVA of timm; not changed.
    :param rope: its rotary embedding; None = it has none.
    :param remembered: by whoever makes this for each image.
    :param instead: attributes in place of the model's.
    """

    def __init__(self, model: Any, rope: Rope | None, remembered: Remembered,
                 **instead: Any) -> None:
        self._model, self.rope, self._remembered = model, rope, remembered
        self.__dict__.update(instead)

    def __getattr__(self, name: str) -> Any:
        """Return what the model has."""
        return getattr(self._model, name)

    def _pos_embed(self, x: torch.Tensor) -> Any:
        """Return timm's ``_pos_embed`` of patches [B, h, w, C]."""
        model = self._model
        grid, positions = (int(x.shape[1]), int(x.shape[2])), model.pos_embed
        if positions is not None:
            positions = resampled(positions, tuple(model.patch_embed.grid_size), grid,
                                  0 if model.no_embed_class else model.num_prefix_tokens,
                                  self._remembered)
        fixed = OnGrid(model, self.rope, self._remembered, dynamic_img_size=False,
                       pos_embed=positions, patch_embed=SimpleNamespace(grid_size=grid))
        return type(model)._pos_embed(fixed, x.flatten(1, 2))
