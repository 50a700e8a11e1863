# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How unsure the depth of an image is, as a share of it: the mean of sigma / depth.

Depth and its sigma grow together with the focal length and with the size of the room: their ratio
knows neither, so that one threshold fits every camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu_perception.network_maps import NetworkMaps

if TYPE_CHECKING:  # The table of scores is read where torch may be missing.
    import torch

# The depth head may end in a ReLU, so that a depth may be 0. Divided by this, nearer than a lens
# can focus, the ratio of such a pixel is large (many of them raise the flag) and finite (one of
# them is not the end of an image). On 22 images of NYUv2 no depth was below 0.65 m.
_NEAREST_M = 0.01
# Or it ends in an exponential, whose sigma goes to 0 with the depth: at least so much there.
_UNKNOWN = 1.0


def measure(maps: NetworkMaps) -> torch.Tensor:
    """
    Return the mean of sigma / depth, a float64 scalar on the maps' device.

    Pixels at infinity (a DeepLab's sky) are left out: as 0 they would speak for certainty. An
    image of nothing else has no depth to be sure of, and counts as the nearest. A depth of nearly
    nothing is off by all of it at least, however small its sigma.
    """
    assert maps.depth is not None and maps.depth_variance is not None, \
        'asked for with the task depth only'
    # clamp keeps NaN: where a depth is no number, the score is none either.
    depth = maps.depth.double().clamp(min=_NEAREST_M)
    depth = depth.where(~depth.isinf().all(), _NEAREST_M)
    known = ~depth.isinf()
    ratio = maps.depth_variance.double().sqrt() / depth
    ratio = ratio.where(~(maps.depth < _NEAREST_M), ratio.clamp(min=_UNKNOWN))
    return ratio.where(known, 0.0).sum() / known.sum()
