# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a backend is told: once, of the checkpoint and the device, and with each image."""

from __future__ import annotations

from dataclasses import dataclass
import math

from emu_perception.errors import InputError
from emu_perception.instances import InstanceSettings
from emu_perception.region import Region
from emu_perception.rules import as_real
import torch


@dataclass(frozen=True)
class BackendOptions:
    """
    What stays the same for every image.

    :ivar precision: of the network, 'fp32', 'bf16' or 'fp16'; maps are float32 always.
    :ivar mean: of the input's normalisation, 0..1, rgb.
    :ivar std: likewise.
    :ivar temperature: calibration, divides the logits.
    :ivar variance_scale: calibration, times the variance of the depth.
    :ivar depth_max: metres, end of the checkpoint's range; beyond it a depth is +inf.
    :ivar statistics: whether the checkpoint has scores that are made of them.
    :ivar instances: how votes become instances; None = none are looked for.
    """

    device: torch.device
    precision: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    temperature: float = 1.0
    variance_scale: float = 1.0
    depth_max: float = math.inf
    statistics: bool = False
    instances: InstanceSettings | None = None

    def normalization(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and shift [3] on the device: the network's input is x·scale + shift."""
        scale = 255.0 * torch.tensor(self.std)
        shift = -255.0 * torch.tensor(self.mean) / scale
        return (1.0 / scale).to(self.device), shift.to(self.device)


@dataclass(frozen=True)
class Request:
    """
    What is asked of one image.

    :ivar network_size: (height, width) the network runs at, multiples of 32.
    :ivar size: (height, width) of the maps.
    :ivar depth_scale: from the network's depths to this camera's.
    :ivar unknown_label_entropy: nats above which a label becomes 255; None = off.
    :ivar score_region: what the means are taken over; None = the whole image.
    :raises InputError: if the last two cannot be used.
    """

    network_size: tuple[int, int]
    size: tuple[int, int]
    depth_scale: float = 1.0
    unknown_label_entropy: float | None = None
    score_region: Region | None = None

    def __post_init__(self) -> None:
        """Check what a caller of the Predictor hands through."""
        limit, region = self.unknown_label_entropy, self.score_region
        number = None if limit is None else as_real(limit)
        # NaN would turn it off and say nothing.
        if limit is not None and (number is None or number < 0):
            raise InputError(f'unknown_label_entropy is {limit!r}: give nats, or None')
        if not (region is None or isinstance(region, Region)):
            raise InputError(f'score_region is {region!r}: give a Region(top, bottom, left, '
                             'right), or None')
