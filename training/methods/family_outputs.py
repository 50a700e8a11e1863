# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""From raw maps to outputs in metres, whatever the family of the network."""

from __future__ import annotations

from collections.abc import Mapping
import math

from emu_perception.networks.deeplab import FAR_M, MultitaskDeepLab
from emu_perception.networks.multitask import DEPTH, Outputs, outputs_at, SEGMENTATION, upsample
import torch
from torch import nn


def outputs_of(network: nn.Module, raw: Mapping[str, torch.Tensor], size: tuple[int, int],
               depth_max: float = math.inf) -> Outputs:
    """
    Return logits, depth and variance at ``size``.

    An infinite depth becomes ``depth_max``: errors and the mixture of an ensemble need a number.

    :param depth_max: metres, end of the network's range; ``FAR_M`` where it is not known.
    """
    if not isinstance(network, MultitaskDeepLab):
        return outputs_at(raw, size)
    logits = upsample(raw[SEGMENTATION], size) if SEGMENTATION in raw else None
    if DEPTH not in raw:
        return Outputs(logits, None, None)
    with torch.autocast(raw[DEPTH].device.type, enabled=False):
        depth, variance = network.depth_moments(upsample(raw[DEPTH].float(), size), depth_max)
    return Outputs(logits, depth.clamp(max=depth_max if math.isfinite(depth_max) else FAR_M),
                   variance)
