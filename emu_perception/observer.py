# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A network in PyTorch, asked for the statistics of single pictures too: to fit scores to them."""

from __future__ import annotations

from dataclasses import dataclass

from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import (
    DEPTH,
    FoldedNetwork,
    SEGMENTATION,
    upsample,
)
from emu_perception.networks.statistics import with_statistics
from emu_perception.preprocessing import focal_scale, network_size, resized_image
from emu_perception.scores import measured
from emu_perception.uncertainty import segmentation_maps
import numpy as np
import torch

# Encoder's maps whose statistics familiarity reads: strides 4, 8 and 16.
FAMILIAR_MAPS = 3


@dataclass(frozen=True)
class Seen:
    """
    What one pass gave.

    :ivar statistics: float32 [N].
    :ivar scores: by name, without those that are fitted to statistics.
    :ivar maps: calibrated, at the network's size.
    """

    statistics: np.ndarray
    scores: dict[str, float]
    maps: NetworkMaps


class Observer:
    """
    A network with its calibration, run in PyTorch on single pictures.

    :param name: of the checkpoint, for messages.
    :ivar familiar_length: of the statistics, so many are familiarity's.
    :raises InputError: for a network that gives no statistics.
    """

    def __init__(self, network: Network, metadata: CheckpointMetadata, name: object,
                 device: torch.device | str = 'cpu') -> None:
        folded = network.folded()
        if not isinstance(folded, FoldedNetwork):
            raise InputError(f'{name}: is of the family {folded.family}, whose pictures are '
                             'judged by uncertainty alone: give one of the family all_mlp')
        self.metadata, self.device = metadata, torch.device(device)
        # The first strides' means and deviations, two numbers a channel.
        self.familiar_length = 2 * sum(folded.encoder.channels[:FAMILIAR_MAPS])
        self._network = folded.to(self.device).to(memory_format=torch.channels_last)
        scale = 255.0 * torch.tensor(metadata.std)
        self._scale = (1.0 / scale).to(self.device)
        self._shift = (-255.0 * torch.tensor(metadata.mean) / scale).to(self.device)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, focal: float | None = None) -> Seen:
        """
        Return what one pass gives.

        :param image: uint8 [H, W, 3], rgb.
        :param focal: length in widths of the image; None = the training camera's.
        """
        size = network_size(image.shape[:2], self.metadata.input_size)
        array = np.require(resized_image(image, size), requirements=('C', 'W'))
        x = torch.from_numpy(array).to(self.device).float() * self._scale + self._shift
        raw, statistics = with_statistics(self._network, x.permute(2, 0, 1).unsqueeze(0))
        calibration = self.metadata.calibration
        label = entropy = confidence = depth = variance = None
        if SEGMENTATION in raw:
            label, entropy, confidence = segmentation_maps(raw[SEGMENTATION][0], size,
                                                           calibration.temperature)
        if DEPTH in raw:
            depth, variance = (part[0] for part in self._network.depth_moments(
                upsample(raw[DEPTH], size)))
        factor = None if focal is None else focal_scale(self.metadata, focal * size[1], size[1],
                                                        size[1])
        factor = 1.0 if factor is None else factor
        maps = NetworkMaps(label, entropy, confidence, depth, variance).calibrated(
            factor, calibration.variance_scale * factor ** 2)
        return Seen(statistics[0].cpu().numpy(),
                    {name: float(value) for name, value in measured(maps).items()}, maps)
