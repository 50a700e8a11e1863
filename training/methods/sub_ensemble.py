# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Deep sub-ensembles (Valdenegro-Toro 2023): many pairs of heads on one shared encoder.

One pair learns from each batch, in turn; the batch norms of the others are not touched. At
inference all pairs answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import MultitaskNetwork
import torch

from ..recipes.recipe import Recipe
from .module import TrainingModule
from .parts import Batch
from .sampling import own_samples, Sampled, Triple, triple
from .shared import SharedSubEnsemble


class SubEnsemble(TrainingModule):
    """Trains one pair of heads a batch, and the encoder with every batch."""

    # The heads that a batch leaves out have no gradient: AdamW then skips them, decay included.
    leaves_parameters_out = True

    network: MultitaskNetwork

    @classmethod
    def network_arguments(cls, recipe: Recipe, num_classes: int,
                          depth_factor: float = 1.0) -> dict[str, Any]:
        """Ask for as many heads as the options say."""
        return {**super().network_arguments(recipe, num_classes, depth_factor),
                'num_heads': recipe.sub_ensemble.heads}

    @classmethod
    def sampled(cls, network: Network, recipe: Mapping[str, Any], count: int | None) -> Sampled:
        """Return the network with its encoder shared and its heads folded."""
        if not isinstance(network, MultitaskNetwork) or network.num_heads == 1:
            raise InputError("has 1 heads a task, so it cannot be sampled as 'sub_ensemble'; "
                             "leave the method to 'auto'")
        return Sampled(SharedSubEnsemble(network), own_samples, network.num_heads)

    @classmethod
    def recognises(cls, network: Network, trained_so: bool) -> bool:
        """Return whether it has several pairs of heads: no other way of sampling has a use."""
        return network.num_heads > 1

    def raw(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the raw maps of the pair whose turn it is."""
        return self.through(batch, pair=self.global_step % self.network.num_heads)

    def samples(self, x: torch.Tensor, size: tuple[int, int]) -> Iterator[Triple]:
        """Yield every pair's outputs."""
        for raw in samples(self.network, x):
            yield triple(self.network.outputs_at(raw, size))


def samples(network: MultitaskNetwork, x: torch.Tensor,
            seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the raw maps of every pair; the encoder runs once."""
    network.eval()
    features = network.features(x)
    for pair in range(network.num_heads):
        yield network.decode(features, pair)
