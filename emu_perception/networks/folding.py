# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The exact inference form of the all-MLP heads.

Everything before a head's ReLU is affine, and bilinear upsampling (whose weights sum to one)
commutes with affine maps of each pixel. So with F = [F4 F3 F2 F1] the fuse weight split by scale,
(L_i, b_i) the per-scale linear layers and y -> S y + t the batch norm in eval mode:

    relu( sum_i up( (S F_i L_i) x_i ) + S sum_i F_i b_i + t )

equals the published layout up to rounding. A product C_i -> D at each scale's own resolution
replaces one 4D -> D at 1/4 of the image, and all heads on one encoder share it, stacked. Chained
x2 upsampling would not be the same function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emu_perception.networks.mlp_head import fused_map, MLPHead
from emu_perception.outputs import EPISTEMIC
import torch
from torch import nn
from torch.nn import functional as F


class FoldedHeads(nn.Module):
    """
    Heads that share an encoder, in eval mode, as one product for each scale.

    The weights are computed in float64 and stored as buffers of the heads' own type.

    :param heads: the trained heads by task; they are not changed.
    :ivar tasks: of the raw maps: the heads', then what they give beside (``outputs.EPISTEMIC``).
    :ivar hidden: by raw map, the place of the head that it is of.
    """

    def __init__(self, heads: Mapping[str, MLPHead]) -> None:
        super().__init__()
        layers = {task: head.classifier for task, head in heads.items()}
        beside = {EPISTEMIC[task]: head.epistemic for task, head in heads.items()
                  if head.epistemic is not None}
        self.tasks = (*heads, *beside)
        self.hidden = [*range(len(heads)), *(index for index, head in enumerate(heads.values())
                                             if head.epistemic is not None)]
        self.widths = [head.dim for head in heads.values()]
        folded = [_fold(head) for head in heads.values()]
        dtype = next(iter(heads.values())).fuse.weight.dtype
        self.scales = len(folded[0][0])
        for i in range(self.scales):
            weight = torch.cat([weights[i] for weights, _ in folded]).to(dtype)
            self.register_buffer(f'weight{i}', weight)
        self.register_buffer('bias', torch.cat([bias for _, bias in folded]).to(dtype))
        for name, layer in {**layers, **beside}.items():
            for part in ('weight', 'bias'):
                self.register_buffer(f'{name}_{part}',
                                     layer.get_parameter(part).detach().clone())

    def forward(self, features: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Map the encoder's maps to the raw map [B, outputs, H/4, W/4] of each of ``tasks``."""
        weights = [self.get_buffer(f'weight{i}') for i in range(self.scales)]
        hidden = F.relu(fused_map(features, weights, self.get_buffer('bias')))
        parts = hidden.split(self.widths, dim=1)
        return {task: F.conv2d(parts[i], self.get_buffer(f'{task}_weight'),
                               self.get_buffer(f'{task}_bias'))
                for i, task in zip(self.hidden, self.tasks)}


@torch.no_grad()
def _fold(head: MLPHead) -> tuple[list[torch.Tensor], torch.Tensor]:
    norm = head.norm
    mean, variance = (norm.get_buffer(f'running_{name}').double() for name in ('mean', 'var'))
    scale = norm.weight.double() / (variance + norm.eps).sqrt()
    shift = norm.bias.double() - mean * scale
    blocks = head.fuse.weight.double().flatten(1).split(head.dim, dim=1)[::-1]
    layers = [(layer.weight.double(), layer.bias.double()) for layer in head.linear]
    weights = [scale[:, None] * (f @ w) for f, (w, _) in zip(blocks, layers)]
    return weights, scale * sum(f @ b for f, (_, b) in zip(blocks, layers)) + shift
