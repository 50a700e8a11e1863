# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Vision transformers, all of whose blocks have one stride, as a pyramid of strides 4, 8, 16 and 32.

Four blocks, evenly spaced, each give one level, as ViTDet's simple feature pyramid makes its
levels of the last block alone (arXiv 2203.16527): x4 and x2 by transposed convolutions, x1, and /2
by pooling. Class and register tokens take part in attention and are left out of the maps.

**Patches are of 16 pixels, whatever a network was published with.** Patches of 14 would want sizes
in multiples of lcm(14, 32) = 224; here every size stays a multiple of 32, as for all encoders. The
patch embedding is resampled once, when published weights are read, so that it gives for an
enlarged patch what it gave for the original one (FlexiViT, arXiv 2212.08013); the grid of learned
position embeddings keeps its own size and is resampled for each input, of any aspect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.encoder import STRIDES, timm_model
from emu_perception.networks.vit_positions import OnGrid, Remembered, Rope
from timm.layers import LayerNorm2d
from timm.models import is_model_in_modules
import torch
from torch import nn

PATCH = 16
# timm's modules whose models have class, register and position tokens as they are handled here:
# ViT, DINOv2, CLIP, SigLIP; DeiT; EVA and DINOv3.
_MODULES = ('vision_transformer', 'deit', 'eva')
_SET_HERE = ('patch_size', 'dynamic_img_size', 'num_classes', 'global_pool', 'features_only',
             'out_indices')


def is_vit(name: object) -> bool:
    """Return whether timm's model of that name is a vision transformer of one stride."""
    return isinstance(name, str) and is_model_in_modules(name, _MODULES)


def _pool(name: str) -> str:
    """Return the pooling of a head that is not there; a distilled DeiT wants to hear of one."""
    return 'token' if 'distilled' in name else ''


class ViTEncoder(nn.Module):
    """
    A vision transformer of timm with a pyramid.

    :param name: a timm model name, for example ``vit_small_patch16_dinov3``.
    :param arguments: further arguments of that model; ``img_size`` is the size in its own patches
        that the grid of learned position embeddings has.
    :ivar channels: of the four maps, finest first.
    :ivar indices: of the four blocks.
    :raises InputError: if timm cannot make it, or it has fewer than four blocks.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        arguments = dict(arguments or {})
        refused = [key for key in arguments if key in _SET_HERE]
        if refused:
            raise InputError(f"encoder argument '{refused[0]}' is not yours to set for "
                             f"'{name}', whose patches are {PATCH} pixels here: leave it out")
        with torch.device('meta'):  # For its shape alone: nothing is computed or held.
            shape = timm_model(name, arguments, num_classes=0, global_pool=_pool(name))
        if not hasattr(shape, 'forward_intermediates') or len(shape.blocks) < len(STRIDES):
            raise InputError(f"encoder '{name}' has {len(shape.blocks)} blocks: a pyramid of "
                             f'{len(STRIDES)} levels needs as many')
        # The grid of the position embeddings, in patches of 16 pixels.
        arguments['img_size'] = tuple(PATCH * side for side in shape.patch_embed.grid_size)
        self.model = timm_model(name, arguments, patch_size=PATCH, dynamic_img_size=True,
                                num_classes=0, global_pool=_pool(name))
        rope = getattr(self.model, 'rope', None)
        self._remembered = Remembered()
        self._rope = Rope(rope, self._remembered) if rope is not None else None
        self.name = name
        depth, width = len(shape.blocks), int(shape.embed_dim)
        self.indices = tuple((i + 1) * depth // len(STRIDES) - 1 for i in range(len(STRIDES)))
        self.channels: tuple[int, ...] = (width // 4, width // 2, width, width)
        self.pyramid = nn.ModuleList([
            nn.Sequential(nn.ConvTranspose2d(width, width // 2, 2, 2), LayerNorm2d(width // 2),
                          nn.GELU(), nn.ConvTranspose2d(width // 2, width // 4, 2, 2)),
            nn.ConvTranspose2d(width, width // 2, 2, 2), nn.Identity(), nn.MaxPool2d(2, 2)])

    def tokens(self, images: torch.Tensor) -> list[torch.Tensor]:
        """
        Map images [B, 3, H, W] to the patches of four blocks, [B, C, H/16, W/16].

        Each behind the network's last norm, which brings all blocks to one scale.

        :raises InputError: if a side is no multiple of the coarsest stride.
        """
        height, width = images.shape[-2:]
        # Not while a graph is traced, where sides are no numbers: they have been checked by then.
        if not torch.jit.is_tracing() and (height % STRIDES[-1] or width % STRIDES[-1]):
            raise InputError(f"images are {height}x{width}: encoder '{self.name}' takes sides in "
                             f'multiples of {STRIDES[-1]}, resize them')
        maps: list[torch.Tensor] = type(self.model).forward_intermediates(
            OnGrid(self.model, self._rope, self._remembered), images,
            indices=list(self.indices), norm=True, intermediates_only=True)
        return maps

    def backbone(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what the pretrained model alone makes of images: ``tokens``."""
        return self.tokens(images)

    def from_backbone(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the pyramid of what ``backbone`` gave."""
        return [level(x) for level, x in zip(self.pyramid, maps)]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map images, sides multiples of 32, to maps [B, C_i, H/s_i, W/s_i], finest first."""
        return self.from_backbone(self.tokens(images))
