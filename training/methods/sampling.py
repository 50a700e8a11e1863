# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""One sample of a method: what ``emu_perception.uncertainty.predictive_moments`` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from emu_perception.networks.multitask import Outputs
import torch

# Logits [B, K, H, W], depth [B, H, W] in metres, variance [B, H, W] in m²; None = no such task.
Triple = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
# (network, normalised images [B, 3, H, W], seed) -> raw maps by task, one dict a sample.
Sampler = Callable[[Any, torch.Tensor, int], Iterator[dict[str, torch.Tensor]]]


def triple(outputs: Outputs) -> Triple:
    """Return the fields of a network's outputs."""
    return outputs.logits, outputs.depth, outputs.depth_variance


def own_samples(network: Any, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the samples of a network that knows how (``SharedSubEnsemble``, ``SharedDropout``)."""
    yield from network.eval().samples(x, seed)
