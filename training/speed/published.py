# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The published layout of networks and ensembles: what benchmarks and tests compare against."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

from emu_perception.checkpoint import load_checkpoint
from emu_perception.errors import InputError
from emu_perception.networks.multitask import MultitaskNetwork
import torch

from ..methods import mc_dropout, sub_ensemble
from ..methods.ensemble import Ensemble
from ..methods.shared_dropout import SharedDropout


class PublishedNetwork(MultitaskNetwork):
    """The network with its heads as they were published."""

    def decode(self, features: list[torch.Tensor], pair: int = 0) -> dict[str, torch.Tensor]:
        """Return the raw maps of one pair of heads."""
        return self.raw_maps({task: self.head(task, pair).forward_published(features)
                              for task in self.tasks})


def as_published(network: MultitaskNetwork) -> PublishedNetwork:
    """Return a copy of a network in the published layout."""
    found = PublishedNetwork(**network.arguments)
    found.load_state_dict(network.state_dict())
    return found


def published(ensemble: Ensemble) -> Ensemble:
    """
    Return an ensemble of the same checkpoints, each sample a whole pass in the published layout.

    :raises InputError: if a checkpoint has no such layout.
    """
    found = copy.copy(ensemble)
    found.members = []
    for member in ensemble.members:
        network, _ = load_checkpoint(member.path)
        if not isinstance(network, MultitaskNetwork):
            raise InputError(f'{member.path}: its heads are no all-MLP heads: there is no '
                             'published layout to compare with')
        sampler = member.sampled.sampler
        if isinstance(member.network, SharedDropout):
            sampler = partial(mc_dropout.samples, count=member.sampled.count)
        elif network.num_heads > 1:
            sampler = sub_ensemble.samples
        found.members.append(replace(member, sampled=replace(
            member.sampled, network=as_published(network).eval().requires_grad_(False),
            sampler=sampler)))
    return found.to(ensemble.device)
