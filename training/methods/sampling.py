# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One sample of a method, what ``predictive_moments`` takes, and the teacher it may come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from emu_perception.networks.multitask import Outputs
from emu_perception.uncertainty import PredictiveMoments
import torch
from torch import nn

# Logits [B, K, H, W], depth [B, H, W] in metres, variance [B, H, W] in m²; None = no such task.
Triple = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
# (network, normalised images [B, 3, H, W], seed) -> raw maps by task, one dict a sample.
Sampler = Callable[[Any, torch.Tensor, int], Iterator[dict[str, torch.Tensor]]]


@dataclass(frozen=True)
class Sampled:
    """
    A network with the way its samples are drawn.

    :ivar network: in the form in which its samples share what they can.
    :ivar count: of the samples of one answer.
    :ivar calibrated: whether the constants of its checkpoint were fitted on this very pass. They
        are not applied else: the mean of dropout samples, say, is spread already.
    """

    network: nn.Module
    sampler: Sampler
    count: int = 1
    calibrated: bool = False


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
                seed: int = 0, members: Sequence[int] | None = None,
                epistemic: bool = False) -> PredictiveMoments:
        """Return what they say together: see ``Ensemble.moments``."""


def size_of(maps: torch.Tensor) -> tuple[int, int]:
    """Return (height, width) of maps [..., H, W]."""
    return maps.shape[-2], maps.shape[-1]


def triple(outputs: Outputs) -> Triple:
    """Return the fields of a network's outputs."""
    return outputs.logits, outputs.depth, outputs.depth_variance


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Draw random numbers from a seed, and give the program its own back after."""
    with torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def dropping(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put some dropouts to work, in a network that is in eval mode."""
    for module in modules:
        module.train()
    try:
        yield
    finally:
        for module in modules:
            module.eval()


def one_pass(network: Any, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the one sample that a network has without any method: its raw maps."""
    yield network.eval()(x)


def own_samples(network: Any, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the samples of a network that knows how (``SharedSubEnsemble``, ``SharedDropout``)."""
    yield from network.eval().samples(x, seed)
