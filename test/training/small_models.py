# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Small networks and batches for the methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from emu_perception.checkpoint import CheckpointMetadata, Intrinsics, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
import pytest
import torch
from training.recipes.options import build
from training.recipes.recipe import Recipe

SIZE = (64, 96)
CLASSES = ('wall', 'floor', 'box')


def small_network(seed: int = 0, **arguments: Any) -> MultitaskNetwork:
    """Return a network with spread outputs and a depth above zero."""
    torch.manual_seed(seed)
    network = MultitaskNetwork(**{'encoder': 'resnet10t', 'num_classes': 3, 'head_dim': 16,
                                  **arguments})
    network.initialize_depth(2.0, 0.5)
    with torch.no_grad():
        for pair in range(network.num_heads):
            for task in network.tasks:
                network.head(task, pair).classifier.weight.mul_(
                    20 if task == 'segmentation' else 30)
    return network


def small_recipe(**fields: Any) -> Recipe:
    """Return a recipe with some fields changed."""
    return build(Recipe, {'name': 'x', 'data': 'd', 'input_size': list(SIZE),
                          'network': {'encoder': 'resnet10t', 'head_dim': 16}, **fields}, 'test')


def small_batch(count: int = 2) -> dict[str, torch.Tensor]:
    """Return views with some unlabelled pixels and some of unknown depth."""
    generator = torch.Generator().manual_seed(5)
    label = torch.randint(0, 3, (count, *SIZE), generator=generator, dtype=torch.uint8)
    label[:, :8] = 255
    depth = 1 + 3 * torch.rand(count, *SIZE, generator=generator)
    depth[:, :, :8] = 0
    return {'image': torch.randint(0, 256, (count, 3, *SIZE), generator=generator,
                                   dtype=torch.uint8),
            'label': label, 'depth': depth, 'index': torch.arange(count)}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small checkpoint and returns its path."""
    def save(name: str = 'a', seed: int = 0, provenance: dict[str, Any] | None = None,
             metadata: dict[str, Any] | None = None, **arguments: Any) -> Path:
        network = small_network(seed, **arguments)
        segments = 'segmentation' in network.tasks
        path = tmp_path / f'{name}.safetensors'
        save_checkpoint(path, network, CheckpointMetadata(
            architecture=network.arguments, input_size=SIZE, name=name,
            classes=CLASSES if segments else (),
            palette=((1, 2, 3),) * 3 if segments else (),
            intrinsics=Intrinsics(96, 64, 80.0, 80.0, 48.0, 32.0),
            provenance=provenance or {}, **(metadata or {})))
        return path
    return save
