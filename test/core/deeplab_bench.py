# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of the three-task network need: a small one, its document, an image."""

from __future__ import annotations

from typing import Any

from core_bench import CLASSES, make_metadata, randomize_norms
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.instances import InstanceSettings
from emu_perception.networks.deeplab import MultitaskDeepLab
import numpy as np
import torch

SIZE = (64, 96)
THINGS = InstanceSettings(things=(1, 3), votes=300, min_size=16)
SMALL: dict[str, Any] = {'encoder': 'test_resnet', 'num_classes': CLASSES, 'aspp_dim': 16,
                         'decoder_dim': 8}


def small_deeplab(**arguments: Any) -> MultitaskDeepLab:
    """Return a small network in eval mode whose batch norms are as if trained."""
    network = MultitaskDeepLab(**{**SMALL, **arguments})
    randomize_norms(network)
    return network.eval()


def deeplab_document(network: MultitaskDeepLab, **changes: Any) -> CheckpointMetadata:
    """Return a full document, with the settings of instances where they belong."""
    whole = {'segmentation', 'instance'} <= set(network.tasks)
    return make_metadata(network, **{'input_size': SIZE, 'instances': THINGS if whole else None,
                                     **changes})


def constant(network: MultitaskDeepLab, task: str, *values: float) -> None:
    """Make a decoder give the same everywhere."""
    with torch.no_grad():
        network.decoders[task].classifier.weight.zero_()
        network.decoders[task].classifier.bias.copy_(torch.tensor(values))


def picture(height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
