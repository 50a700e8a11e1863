# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""How unsure the labels of an image are: the mean of their entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu_perception.network_maps import NetworkMaps

if TYPE_CHECKING:  # The table of scores is read where torch may be missing.
    import torch


def measure(maps: NetworkMaps) -> torch.Tensor:
    """Return the mean predictive entropy in nats, a float64 scalar on the maps' device."""
    assert maps.entropy is not None, 'asked for with the task segmentation only'
    return maps.entropy.double().mean()
