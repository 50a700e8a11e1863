# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Networks with random weights and batches of noise: speed depends on neither."""

from __future__ import annotations

from pathlib import Path

from emu_perception.checkpoint import CheckpointMetadata, save_checkpoint
from emu_perception.networks.multitask import MultitaskNetwork
from emu_perception.visualization import default_palette
import torch

from ..methods.registry import training_class
from ..recipes.options import plain
from ..recipes.recipe import Recipe
from ..runs.building import normalization


def synthetic_network(recipe: Recipe, method: str, classes: int,
                      seed: int = 0) -> MultitaskNetwork:
    """Return the network that a method trains by this recipe, with random weights."""
    torch.manual_seed(seed)
    network = MultitaskNetwork(**training_class(method).network_arguments(recipe, classes))
    network.initialize_depth(2.7, 1.0)
    return network.eval()


def synthetic_checkpoint(path: Path, recipe: Recipe, method: str, classes: int,
                         seed: int = 0) -> Path:
    """Write such a network as a checkpoint that says how it is sampled."""
    network = synthetic_network(recipe, method, classes, seed)
    mean, std = normalization(recipe.network.encoder)
    segments = 'segmentation' in network.tasks
    save_checkpoint(path, network, CheckpointMetadata(
        architecture=network.arguments, input_size=recipe.input_size,
        classes=tuple(map(str, range(classes))) if segments else (),
        palette=tuple(default_palette(classes)) if segments else (),
        mean=mean, std=std,  # type: ignore[arg-type]
        provenance={'recipe': {**plain(recipe), 'method': method}}))
    return path


def synthetic_members(folder: Path, recipe: Recipe, classes: int, count: int) -> list[Path]:
    """Write networks that differ by their seeds."""
    return [synthetic_checkpoint(folder / f'member_{i}.safetensors', recipe, 'baseline', classes,
                                 i) for i in range(count)]


def synthetic_batch(count: int, size: tuple[int, int], classes: int,
                    device: torch.device) -> dict[str, torch.Tensor]:
    """
    Return a batch of views as ``training.data.examples`` makes them, of noise.

    :param size: (height, width) of the views.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = size
    batch = {
        'image': torch.randint(0, 256, (count, 3, height, width), generator=generator,
                               dtype=torch.uint8),
        'label': torch.randint(0, classes, (count, height, width), generator=generator,
                               dtype=torch.uint8),
        'depth': 0.5 + 9.0 * torch.rand(count, height, width, generator=generator),
        'index': torch.arange(count)}
    return {name: values.to(device) for name, values in batch.items()}
