# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Low-rank additions to weights that stay as they are (LoRA, arXiv 2106.09685).

A weight W becomes W + (alpha / rank) B A while it is trained, B starting at 0; ``merged`` gives
the network with the sum in W's place, which is all that a checkpoint and the robot ever see.
"""

from __future__ import annotations

from collections.abc import Iterable
import math

from emu_perception.networks.families import Network
import torch
from torch import nn
from torch.nn.utils import parametrize

# Where torch keeps what is made of a weight, and the weight itself.
_HERE, _ORIGINAL = 'parametrizations', 'weight.original'


class LowRank(nn.Module):
    """
    Adds to a weight a product of rank ``rank``, which starts at 0.

    :param weight: [outputs, inputs].
    :param alpha: the product is scaled by alpha / rank.
    """

    def __init__(self, weight: torch.Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, inputs))
        self.up = nn.Parameter(weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the sum."""
        return weight + self.scale * (self.up @ self.down)


def add_low_rank(layers: Iterable[nn.Linear], rank: int, alpha: float) -> None:
    """Give each layer's weight a low-rank addition that learns in its place."""
    for layer in layers:
        layer.weight.requires_grad_(False)
        parametrize.register_parametrization(layer, 'weight',
                                             LowRank(layer.weight, rank, alpha))


def is_addition(name: str) -> bool:
    """Return whether a parameter, by its name, is part of an addition."""
    return f'.{_HERE}.' in name and not name.endswith(_ORIGINAL)


def merged(network: Network) -> Network:
    """Return the network with its additions in its weights, or as it is where it has none."""
    if not any(is_addition(name) for name, _ in network.named_parameters()):
        return network
    # Made anew: torch takes parametrizations from a class that all copies of a module share.
    plain = type(network)(**network.arguments)
    weights = {}
    for name, tensor in network.state_dict().items():
        layer, parametrization, part = name.partition(f'.{_HERE}.')
        if not parametrization:
            weights[name] = tensor
        elif part == _ORIGINAL:
            linear = network.get_submodule(layer)
            assert isinstance(linear, nn.Linear)
            weights[f'{layer}.weight'] = linear.weight.detach()
    plain.load_state_dict(weights)
    return plain.train(network.training)
