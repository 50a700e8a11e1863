# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How unsure the depth of an image is, in metres: the mean of its standard deviation.

It grows with the size of the room and with the focal length: a threshold of metres fits one camera
in one kind of room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu_perception.network_maps import NetworkMaps

if TYPE_CHECKING:  # The table of scores is read where torch may be missing.
    import torch


def measure(maps: NetworkMaps) -> torch.Tensor:
    """Return the mean of sigma in metres, a float64 scalar on the maps' device."""
    assert maps.depth_variance is not None, 'asked for with the task depth only'
    return maps.depth_variance.double().sqrt().mean()
