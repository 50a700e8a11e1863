# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a folded head: gather, add, ReLU and the last layer, on a GPU in one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F


def plain_classifier(maps: Sequence[torch.Tensor], weight: torch.Tensor,
                     bias: torch.Tensor) -> torch.Tensor:
    """
    Return weight·relu(c0 + up(c1) + up(c2) + ...) + bias at the finest map's size: the reference.

    :param maps: [1, D, h_i, w_i], finest first.
    :param weight: [K, D] of the maps' type; the product is rounded to float32, not to that type.
    :param bias: [K].
    :return: float32 [1, K, h_0, w_0].
    """
    size = maps[0].shape[-2:]
    total = maps[0].float()
    for coarse in maps[1:]:
        total = total + F.interpolate(coarse.float(), size=size, mode='bilinear',
                                      align_corners=False)
    hidden = F.relu(total).to(weight.dtype).float().flatten(2)
    # No convolution: on a GPU those round float32 to 10 bits unless told otherwise.
    product = torch.matmul(weight.float(), hidden) + bias.float()[:, None]
    return product.unflatten(2, size)


def fused_classifier(maps: Sequence[torch.Tensor], weight: torch.Tensor,
                     bias: torch.Tensor) -> torch.Tensor:
    """Compute ``plain_classifier`` of four maps without writing the D-channel sum."""
    from emu_perception.kernels.triton_kernels import classifier_kernel
    outputs, dim = weight.shape
    height, width = maps[0].shape[-2:]
    out = torch.empty(1, outputs, height, width, device=maps[0].device)
    options = launch_options(outputs, dim)
    sizes = [side for coarse in maps[1:] for side in coarse.shape[-2:]]
    strides = [stride for part in maps for stride in
               (part.stride(2), part.stride(3), part.stride(1))]
    scales = [side / (height, width)[i % 2] for i, side in enumerate(sizes)]
    classifier_kernel[(-(-height * width // options['PIXELS']),)](
        *maps, weight, bias, out, dim, outputs, height, width, *sizes, *strides, *scales,
        **options)
    return out


def launch_options(outputs: int, dim: int) -> dict[str, Any]:
    """Return block sizes and compiler options for K outputs and D channels."""
    padded = max(16, 1 << (outputs - 1).bit_length())
    # 64 pixels would spill registers. One stage: more would keep the taps of several blocks in
    # shared memory, in float32 more than a GPU has.
    return {'PIXELS': 32, 'CHANNELS': 32 if dim >= 32 else 16, 'OUTPUTS': padded,
            'PRECISION': 'ieee', 'num_warps': 8 if padded > 128 else 4, 'num_stages': 1}
