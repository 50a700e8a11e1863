# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What several tests of the core need: networks, documents, a stub whose answer is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from emu_perception.checkpoint import (
    Calibration,
    CheckpointMetadata,
    FittedThreshold,
    Intrinsics,
)
from emu_perception.networks.context import TransformerContext
from emu_perception.networks.depth_forms import LINEAR
from emu_perception.networks.multitask import (
    FoldedNetwork,
    MultitaskNetwork,
    SEGMENTATION,
    TASKS,
)
from emu_perception.visualization import default_palette
import torch
from torch import nn

CLASSES = 5
INPUT_SIZE = (96, 128)
RawMaps = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def make_network(encoder: str = 'mit_b0', tasks: Sequence[str] = TASKS, num_classes: int = CLASSES,
                 head_dim: int = 16, **arguments: Any) -> MultitaskNetwork:
    """Return a network in eval mode whose batch norms are as if trained."""
    network = MultitaskNetwork(encoder, tasks, num_classes, head_dim, **arguments)
    randomize_norms(network)
    if isinstance(network.context, TransformerContext):
        # It starts as the identity, behind which every mistake could hide.
        nn.init.normal_(network.context.project.weight, std=0.1)
    return network.eval()


def randomize_norms(module: nn.Module) -> None:
    """Give batch norms weights and statistics that a folding mistake cannot hide behind."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)


def make_metadata(network: Any, **changes: Any) -> CheckpointMetadata:
    """Return a document with every field set."""
    segments = SEGMENTATION in network.tasks
    values: dict[str, Any] = {
        'architecture': network.arguments, 'input_size': INPUT_SIZE, 'name': 'tiny',
        'classes': tuple(f'class {i}' for i in range(CLASSES)) if segments else (),
        'palette': tuple(default_palette(CLASSES)) if segments else (),
        'depth_min': 0.1, 'depth_max': 10.0,
        'intrinsics': Intrinsics(640, 480, 518.9, 519.5, 325.6, 253.7),
        'calibration': Calibration(1.3, 0.8, {
            name: FittedThreshold(threshold, 95.0, {'data_set': 'made up'})
            for name, threshold in (('segmentation_entropy', 0.9), ('depth_sigma', 0.4))}),
        'provenance': {'data_set': 'made up', 'versions': {'torch': torch.__version__}},
        'metrics': {'val/miou': 0.4}}
    return CheckpointMetadata(**{**values, **changes})


class Stub:
    """Stands in for a trained network: ``raw`` maps the normalised image to the raw maps."""

    num_heads = 1

    def __init__(self, raw: RawMaps, tasks: Sequence[str] = TASKS) -> None:
        """Make a network of these tasks."""
        self.tasks = tuple(tasks)
        self.arguments = {'tasks': list(tasks), 'num_classes': CLASSES}
        self._raw = raw

    def folded(self) -> nn.Module:
        """Return the inference form."""
        return _Raw(self._raw, self.tasks)


class _Raw(nn.Module):
    family, depth_form = FoldedNetwork.family, LINEAR

    def __init__(self, raw: RawMaps, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.raw, self.tasks = raw, tasks

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.raw(images)

    def depth_moments(self, raw: torch.Tensor, depth_max: float,
                      ) -> tuple[torch.Tensor, torch.Tensor]:
        return LINEAR.moments(raw)


def constant_depth(depth_m: float, raw_variance: float = 0.0) -> RawMaps:
    """Return raw maps of one depth everywhere."""
    def raw(images: torch.Tensor) -> dict[str, torch.Tensor]:
        height, width = images.shape[-2] // 4, images.shape[-1] // 4
        maps = torch.empty(1, 2, height, width)
        maps[:, 0], maps[:, 1] = depth_m, raw_variance
        return {'depth': maps}
    return raw
