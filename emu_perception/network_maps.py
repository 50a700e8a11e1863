# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The maps of one image on the network's own grid: what every score is read off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emu_perception.region import Region

if TYPE_CHECKING:  # The table of scores is read where torch may be missing.
    import torch


@dataclass(frozen=True)
class NetworkMaps:
    """
    Maps [h, w] at the network's size, on the backend's device; None for a task it lacks.

    :ivar label: uint8.
    :ivar entropy: float32, nats.
    :ivar confidence: float32, 0..1.
    :ivar depth: float32, metres for the training camera, 0 or more.
    :ivar depth_variance: float32, m², before calibration.
    :ivar instance_vectors: float32 [2, h, w], pixels of the network's size.
    :ivar mutual_information: float32, nats, 0 or more; of networks with epistemic outputs.
    :ivar depth_epistemic: float32, m², 0 or more, of the training camera; likewise.
    :ivar statistics: float32 [N], see ``networks.statistics``; None where nobody asks for them.
    """

    label: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    confidence: torch.Tensor | None = None
    depth: torch.Tensor | None = None
    depth_variance: torch.Tensor | None = None
    instance_vectors: torch.Tensor | None = None
    statistics: torch.Tensor | None = None
    mutual_information: torch.Tensor | None = None
    depth_epistemic: torch.Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the maps."""
        some = self.label if self.label is not None else self.depth
        assert some is not None, 'a network has at least one task'
        return some.shape[0], some.shape[1]

    def within(self, region: Region | None) -> NetworkMaps:
        """Return what scores are read off: the part in a region, without the vectors."""
        if region is None:
            return self

        def part(values: torch.Tensor | None) -> torch.Tensor | None:
            if values is None:
                return None
            rows, columns = region.spans((values.shape[0], values.shape[1]))
            return values[rows, columns]
        return NetworkMaps(part(self.label), part(self.entropy), part(self.confidence),
                           part(self.depth), part(self.depth_variance))

    def calibrated(self, depth_factor: torch.Tensor | float,
                   variance_factor: torch.Tensor | float) -> NetworkMaps:
        """Return the maps with their depths, and variances of them, in this camera's metres."""
        return replace(
            self, depth=None if self.depth is None else self.depth * depth_factor,
            depth_variance=None if self.depth_variance is None
            else self.depth_variance * variance_factor,
            # The variance's calibration is of the whole of it.
            depth_epistemic=None if self.depth_epistemic is None
            else self.depth_epistemic * (depth_factor * depth_factor))
