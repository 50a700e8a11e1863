# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One sample of a method, what ``predictive_moments`` takes, and the teacher it may come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from emu_perception.networks.multitask import Outputs
from emu_perception.uncertainty import PredictiveMoments
import torch

# Logits [B, K, H, W], depth [B, H, W] in metres, variance [B, H, W] in m²; None = no such task.
Triple = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
# (network, normalised images [B, 3, H, W], seed) -> raw maps by task, one dict a sample.
Sampler = Callable[[Any, torch.Tensor, int], Iterator[dict[str, torch.Tensor]]]


class FromFile(Protocol):
    """What comes from a checkpoint."""

    path: Path


class Teacher(Protocol):
    """What a student learns from: ``training.methods.ensemble.Ensemble`` is one."""

    tasks: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def members(self) -> Sequence[FromFile]:
        """Return its networks."""

    def to(self, device: torch.device | str) -> object:
        """Move the networks."""

    def moments(self, images: torch.Tensor, size: tuple[int, int], *, focal: float | None = None,
                seed: int = 0, members: Sequence[int] | None = None) -> PredictiveMoments:
        """Return what they say together: see ``Ensemble.moments``."""


def triple(outputs: Outputs) -> Triple:
    """Return the fields of a network's outputs."""
    return outputs.logits, outputs.depth, outputs.depth_variance


def own_samples(network: Any, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the samples of a network that knows how (``SharedSubEnsemble``, ``SharedDropout``)."""
    yield from network.eval().samples(x, seed)
