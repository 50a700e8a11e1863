# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Deep sub-ensembles (Valdenegro-Toro 2023): many pairs of heads on one shared encoder.

One pair learns from each batch, in turn; the batch norms of the others are not touched. At
inference all pairs answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emu_perception.networks.multitask import MultitaskNetwork, outputs_at
import torch
from training.methods.module import Batch, TrainingModule
from training.methods.sampling import Triple, triple
from training.recipes.recipe import Recipe


class SubEnsemble(TrainingModule):
    """Trains one pair of heads a batch, and the encoder with every batch."""

    # The heads that a batch leaves out have no gradient: AdamW then skips them, decay included.
    leaves_parameters_out = True

    @classmethod
    def network_arguments(cls, arguments: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
        """Ask for as many heads as the options say."""
        return {**arguments, 'num_heads': recipe.sub_ensemble.heads}

    def raw(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the raw maps of the pair whose turn it is."""
        return self.network(self.normalized(batch['image']),
                            pair=self.global_step % self.network.num_heads)

    def samples(self, x: torch.Tensor, size: tuple[int, int]) -> Iterator[Triple]:
        """Yield every pair's outputs."""
        for raw in samples(self.network, x):
            yield triple(outputs_at(raw, size))


def samples(network: MultitaskNetwork, x: torch.Tensor,
            seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the raw maps of every pair; the encoder runs once."""
    network.eval()
    features = network.features(x)
    for pair in range(network.num_heads):
        yield network.decode(features, pair)
