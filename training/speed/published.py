# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The published layout of networks and ensembles: what benchmarks and tests compare against."""

from __future__ import annotations

from collections.abc import Iterator
import copy
from dataclasses import replace

from emu_perception.checkpoint import load_checkpoint
from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
import torch
from torch import nn
from training.methods import mc_dropout
from training.methods.ensemble import Ensemble
from training.methods.shared_dropout import SharedDropout


class Published(nn.Module):
    """
    A network whose heads work as they were published, sampled one whole sample after the other.

    :param samples: of Monte Carlo dropout; None = dropout is off.
    """

    def __init__(self, network: MultitaskNetwork, samples: int | None = None) -> None:
        super().__init__()
        self.network, self.count = network, samples
        # What ``mc_dropout.samples`` calls; the dropouts in it are the network's own.
        network.forward = network.forward_published  # type: ignore

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the raw maps of the first pair of heads."""
        return self.network(x)

    def samples(self, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the raw maps of every sample; a sub-ensemble's encoder runs once."""
        if self.count is not None:
            yield from mc_dropout.samples(self.network, x, seed, count=self.count)
            return
        features = self.network.features(x)
        for pair in range(self.network.num_heads):
            yield {task: self.network.head(task, pair).forward_published(features)
                   for task in self.network.tasks}


def published(ensemble: Ensemble) -> Ensemble:
    """
    Return an ensemble of the same checkpoints in the published layout.

    :raises InputError: if a checkpoint has no such layout.
    """
    found = copy.copy(ensemble)
    found.members = []
    for member in ensemble.members:
        network, _ = load_checkpoint(member.path)
        if not isinstance(network, MultitaskNetwork):
            raise InputError(f'{member.path}: its heads are no all-MLP heads: there is no '
                             'published layout to compare with')
        network.requires_grad_(False)
        count = member.network.count if isinstance(member.network, SharedDropout) else None
        found.members.append(replace(member, network=Published(network, count).eval()))
    return found.to(ensemble.device)
