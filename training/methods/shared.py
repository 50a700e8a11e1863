# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Sub-ensembles at inference: the encoder once, and heads that are folded.

``hidden_map`` and ``task_maps`` are the two halves of ``FoldedHeads``, for what stands between
them: dropout of Monte Carlo samples (``shared_dropout.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.multitask import MultitaskNetwork, SaysDepth
import torch
from torch import nn
from torch.nn import functional as F

# Bytes of the map before the ReLU of all heads in one product. Measured on a CPU: one pair at a
# time is fastest, for its map stays near the cache; a GPU has too little to do with one.
PRODUCT_BYTES = {'cpu': 0, 'cuda': 256 * 2**20}


class SharedSubEnsemble(SaysDepth, nn.Module):
    """
    All pairs of heads of a sub-ensemble on an encoder that runs once.

    Takes the network's encoder over; the heads as they were trained are no longer needed.
    """

    def __init__(self, network: MultitaskNetwork) -> None:
        super().__init__()
        self.tasks, self.pairs = network.tasks, network.num_heads
        self.depth_output = network.depth_output
        self.encoder, self.context = network.encoder, network.context
        heads = [FoldedHeads({task: network.head(task, pair) for task in self.tasks})
                 for pair in range(self.pairs)]
        self.heads, self.width = nn.ModuleList(heads), sum(heads[0].widths)
        self.eval().requires_grad_(False)

    def samples(self, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the raw maps of every pair."""
        *fine, coarsest = self.encoder(x)
        features = channels_last([*fine, self.context(coarsest)])
        size = features[0].shape[0] * features[0].shape[-2] * features[0].shape[-1]
        together = max(1, PRODUCT_BYTES.get(x.device.type, 0) // (size * self.width * 4))
        for first in range(0, self.pairs, together):
            heads = [head for head in self.heads[first:first + together]
                     if isinstance(head, FoldedHeads)]
            hidden = hidden_map(heads, features)
            for head, part in zip(heads, hidden.split(self.width, dim=1)):
                yield task_maps(head, part)
            del hidden, part  # Freed before the next product.


def channels_last(features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return maps whose channels lie beside each other: products and upsampling read them so."""
    return [x.contiguous(memory_format=torch.channels_last) for x in features]


def hidden_map(heads: Sequence[FoldedHeads], features: Sequence[torch.Tensor]) -> torch.Tensor:
    """
    Return the heads' maps after the ReLU, one above the other: [B, sum of the widths, h, w].

    One product for each scale, and the sum in place: its map is by far the largest.
    """
    size = features[0].shape[-2:]
    weights = [torch.cat([head.get_buffer(f'weight{i}') for head in heads])[:, :, None, None]
               for i in range(len(features))]
    total = F.conv2d(features[0], weights[0], torch.cat([head.get_buffer('bias')
                                                         for head in heads]))
    for x, weight in zip(features[1:], weights[1:]):
        y = F.interpolate(F.conv2d(x, weight), size=size, mode='bilinear', align_corners=False)
        # Autocast upsamples in float32 on a CPU; the sum then is float32 too.
        total = total.add_(y) if total.dtype == y.dtype else total + y
    return F.relu_(total)


def task_maps(head: FoldedHeads, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the raw map of each task from the maps of one pair after the ReLU."""
    return {task: F.conv2d(part, head.get_buffer(f'{task}_weight'),
                           head.get_buffer(f'{task}_bias'))
            for task, part in zip(head.tasks, hidden.split(head.widths, dim=1))}
