# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a folded head in float64, and how far float32 and float16 may be from it."""

from __future__ import annotations

from collections.abc import Sequence

from rounding import rounding, unit, weights_error
import torch
from torch.nn import functional as F


def classifier_reference(maps: Sequence[torch.Tensor], weight: torch.Tensor,
                         bias: torch.Tensor) -> tuple[torch.Tensor, float]:
    """
    Return weight·relu(c0 + up(c1) + ...) + bias exactly, and the bound of its error.

    :param maps: [1, D, h_i, w_i], finest first.
    :param weight: [K, D] of the maps' type, to which the ReLU's result is rounded.
    :param bias: [K].
    :return: float64 [1, K, h_0, w_0], and one bound for all of it.
    """
    size = (maps[0].shape[-2], maps[0].shape[-1])
    total, absolute = maps[0].double(), maps[0].double().abs()
    coordinates = 0.0
    for coarse in maps[1:]:
        up = F.interpolate(coarse.double(), size=size, mode='bilinear', align_corners=False)
        total, absolute = total + up, absolute + F.interpolate(
            coarse.double().abs(), size=size, mode='bilinear', align_corners=False)
        coordinates += weights_error(coarse, size)
    weights = weight.double()
    exact = torch.einsum('kd,bdhw->bkhw', weights, F.relu(total)) + bias.double()[:, None, None]
    # The ReLU's result: six roundings of the taps of each of four maps, three sums, and one
    # rounding to the type of the weights; then D products and their sum, and the bias, where
    # tensor cores cut off what other units round.
    hidden = absolute * (rounding(4 * 6 + 3) + unit(weight.dtype)) + coordinates
    magnitude = torch.einsum('kd,bdhw->bkhw', weights.abs(), absolute)
    error = torch.einsum('kd,bdhw->bkhw', weights.abs(), hidden)
    sums = rounding(2 * (weights.shape[1] + 2), float(magnitude.max() + bias.abs().max()))
    return exact, float(error.max()) + sums
