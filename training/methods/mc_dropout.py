# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Monte Carlo dropout (Gal & Ghahramani 2016): dropout stays on, the mean of the samples is taken.

In MiT the rate applies to projections and feed-forward layers of every block, and to the heads, as
in the paper. A convolutional encoder has no dropout: whole channels are dropped after each of its
four stages and in the heads. Stochastic depth is off and batch norm uses its running statistics
when samples are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import logging
from typing import Any

from emu_perception.networks.multitask import MultitaskNetwork
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from training.methods.module import TrainingModule
from training.methods.sampling import Sampler
from training.recipes.recipe import Recipe

LOGGER = logging.getLogger('training')


class MCDropout(TrainingModule):
    """
    Trains with dropout everywhere.

    The curve of validation is of the network without dropout, at a tenth of the cost;
    ``training.evaluate`` samples.
    """

    @classmethod
    def network_arguments(cls, arguments: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
        """Put the rate where the encoder has dropout, or after its stages where it has none."""
        rate = recipe.mc_dropout.rate
        own = arguments['encoder'].startswith('mit_')
        LOGGER.info('mc_dropout: rate %g in the heads and %s', rate,
                    'in every block' if own else 'after each stage of the encoder')
        if own:
            encoder = {**arguments['encoder_arguments'], 'drop_rate': rate}
            return {**arguments, 'head_dropout': rate, 'encoder_arguments': encoder}
        return {**arguments, 'head_dropout': rate, 'stage_dropout': rate}


def sampler(count: int) -> Sampler:
    """Return the sampler that draws ``count`` samples."""
    return partial(samples, count=count)


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
    for index in range(count):
        # Forked, so that sampling leaves the rest of the program its random numbers.
        devices = [x.device] if x.device.type == 'cuda' else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed * 1_000 + index)
            try:
                _set_training(network, dropouts, on=True)
                raw = network(x)
            finally:
                _set_training(network, dropouts, on=False)
        yield raw
        del raw


def _set_training(network: nn.Module, dropouts: list[_DropoutNd], on: bool) -> None:
    network.eval()
    for module in dropouts:
        module.train(on)
