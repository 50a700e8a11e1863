# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The baselines: SegFormer, DepthFormer and SegDepthFormer, L = CE + w1 · GNLL (equation 7)."""

from __future__ import annotations

from collections.abc import Iterator

from emu_perception.networks.multitask import MultitaskNetwork
import torch
from training.methods.module import TrainingModule


class Baseline(TrainingModule):
    """One network on labels and depth: what ``TrainingModule`` does by itself."""


def samples(network: MultitaskNetwork, x: torch.Tensor,
            seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the one sample there is: the network's raw maps."""
    yield network.eval()(x)
