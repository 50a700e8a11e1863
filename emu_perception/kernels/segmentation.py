# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Quarter-size logits to label, entropy and confidence at full size, on a GPU in one kernel."""

from __future__ import annotations

import torch

BLOCK = 128


def fused_segmentation_maps(raw: torch.Tensor, size: tuple[int, int], temperature: float = 1.0,
                            ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Compute ``uncertainty.segmentation_maps`` (the reference) without a full-size K-channel tensor.

    :param raw: [K, h, w] logits of one image, of any strides and any floating type.
    :param size: (height, width) of the maps.
    :param temperature: calibration, divides the logits.
    :return: label uint8 [H, W], entropy float32 [H, W] nats, confidence float32 [H, W].
    """
    from emu_perception.kernels.triton_kernels import segmentation_kernel
    classes, height, width = raw.shape
    label = torch.empty(size, dtype=torch.uint8, device=raw.device)
    entropy, confidence = (torch.empty(size, device=raw.device) for _ in range(2))
    grid = (size[0], -(-size[1] // BLOCK))
    segmentation_kernel[grid](
        raw, label, entropy, confidence, classes, height, width, size[1], *raw.stride(),
        height / size[0], width / size[1], 1.0 / temperature, BLOCK=BLOCK)
    return label, entropy, confidence
