# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Monte Carlo dropout (Gal & Ghahramani 2016): dropout stays on, the mean of the samples is taken.

In MiT the rate applies to projections and feed-forward layers of every block, and to the heads, as
in the paper, and so in other vision transformers. A convolutional encoder has no dropout: whole
channels are dropped after each of its four stages and in the heads. Stochastic depth is off and
batch norm uses its running statistics when samples are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import logging
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.networks.vit_encoder import is_vit
import torch
from torch.nn.modules.dropout import _DropoutNd

from ..recipes.recipe import Recipe
from .module import TrainingModule
from .sampling import dropping, own_samples, Sampled, seeded
from .shared_dropout import SharedDropout

LOGGER = logging.getLogger('training')


class MCDropout(TrainingModule):
    """
    Trains with dropout everywhere.

    The curve of validation is of the network without dropout, at a tenth of the cost;
    ``training.evaluate`` samples.
    """

    @classmethod
    def network_arguments(cls, recipe: Recipe, num_classes: int,
                          depth_factor: float = 1.0) -> dict[str, Any]:
        """Put the rate where the encoder has dropout, or after its stages where it has none."""
        arguments = super().network_arguments(recipe, num_classes, depth_factor)
        rate = recipe.mc_dropout.rate
        own = ('drop_rate' if arguments['encoder'].startswith('mit_')
               else 'proj_drop_rate' if is_vit(arguments['encoder']) else None)
        LOGGER.info('mc_dropout: rate %g in the heads and %s', rate,
                    'in every block' if own else 'after each stage of the encoder')
        if own:
            encoder = {**arguments['encoder_arguments'], own: rate}
            return {**arguments, 'head_dropout': rate, 'encoder_arguments': encoder}
        return {**arguments, 'head_dropout': rate, 'stage_dropout': rate}

    @classmethod
    def sampled(cls, network: Network, recipe: Mapping[str, Any], count: int | None) -> Sampled:
        """Return the network with its samples sharing what no dropout has touched."""
        arguments = network.arguments
        if network.num_heads > 1:
            raise InputError(f"has {network.num_heads} heads a task, so it cannot be sampled as "
                             "'mc_dropout'; leave the method to 'auto'")
        if not isinstance(network, MultitaskNetwork) or not (
                arguments.get('head_dropout') or arguments.get('stage_dropout')):
            raise InputError('has no dropout, its samples would all be the same: train it with '
                             "method 'mc_dropout'")
        count = count or int((recipe.get('mc_dropout') or {}).get('samples', 10))
        return Sampled(SharedDropout(network, count), own_samples, count)


def samples(network: MultitaskNetwork, x: torch.Tensor, seed: int = 0, *,
            count: int = 10) -> Iterator[dict[str, torch.Tensor]]:
    """
    Yield ``count`` samples of raw maps with dropout on; the same for the same seed.

    :raises ValueError: if the network has no dropout at work, so that all would be equal.
    """
    dropouts = [module for module in network.modules()
                if isinstance(module, _DropoutNd) and module.p > 0]
    if not dropouts:
        raise ValueError('the network has no dropout: its samples would all be the same')
    network.eval()
    for index in range(count):
        with seeded(x.device, seed * 1_000 + index), dropping(dropouts):
            raw = network(x)
        yield raw
        del raw
