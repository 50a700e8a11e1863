# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Monte Carlo samples that share what no dropout has touched yet.

Where only the heads drop, encoder and folded product run once for all samples, and a dropped
channel is a column of the last layer's weight set to 0. Where the encoder drops after its stages,
all up to the first of these runs once for the samples of a group. Samples of a group are images of
one batch, of which dropout drops each by itself: they are distributed as those that
``mc_dropout.samples`` draws one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emu_perception.networks.encoder import PyramidEncoder
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.multitask import MultitaskNetwork, SaysDepth
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from .sampling import dropping, seeded
from .shared import channels_last, hidden_map

# Pixels of all images of a group, and samples of which the last layers are one product.
GROUP_PIXELS = 2**21
GROUP_SAMPLES = 8


class SharedDropout(SaysDepth, nn.Module):
    """
    A network whose samples are drawn with dropout on.

    Takes the network's encoder over.

    :param count: of samples.
    """

    def __init__(self, network: MultitaskNetwork, count: int) -> None:
        super().__init__()
        self.tasks, self.count = network.tasks, count
        self.depth_output = network.depth_output
        self.encoder, self.context = network.encoder, network.context
        self.heads = FoldedHeads({task: network.head(task) for task in self.tasks})
        self.dropouts = nn.ModuleDict({task: network.head(task).dropout for task in self.tasks})
        self.encoder_drops = [part for part in self.encoder.modules()
                              if isinstance(part, _DropoutNd) and part.p > 0]
        # How often the map before the first dropout is repeated, for as many samples.
        self._repeats = 1
        self._repeats_inside = self.encoder_drops == [getattr(self.encoder, 'stage_dropout', None)]
        if self._repeats_inside:
            # The first stage that drops; ours comes before the encoder's own hook.
            first = next(part for part in self.encoder.model.modules() if any(
                getattr(hook, '__func__', None) is PyramidEncoder._drop
                for hook in part._forward_hooks.values()))
            first.register_forward_hook(self._repeated, prepend=True)
        self.eval().requires_grad_(False)

    def samples(self, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the raw maps of every sample; the same for the same seed."""
        pixels = x.shape[0] * x.shape[-2] * x.shape[-1]
        group = min(GROUP_SAMPLES, max(1, GROUP_PIXELS // pixels)) if self.encoder_drops \
            else GROUP_SAMPLES
        hidden = None if self.encoder_drops else hidden_map([self.heads], self._features(x))
        for first in range(0, self.count, group):
            count = min(group, self.count - first)
            with seeded(x.device, seed * 1_000 + first), dropping(
                    [*self.encoder_drops, *self.dropouts.values()]):
                if self.encoder_drops:
                    hidden = self._group_hidden(x, count)
                assert hidden is not None
                masks = {task: self.dropouts[task](
                    hidden.new_ones(count * x.shape[0], width, 1, 1)).view(count, -1, width)
                    for task, width in zip(self.tasks, self.heads.widths)}
            yield from self._finished(hidden, masks, count)

    def _group_hidden(self, x: torch.Tensor, count: int) -> torch.Tensor:
        if not self._repeats_inside:  # Blocks drop inside: all samples run from the start.
            return hidden_map([self.heads], self._features(x.repeat(count, 1, 1, 1)))
        self._repeats = count
        try:
            return hidden_map([self.heads], self._features(x))
        finally:
            self._repeats = 1

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        *fine, coarsest = self.encoder(x)
        return channels_last([*fine, self.context(coarsest)])

    def _repeated(self, module: nn.Module, arguments: Any, output: torch.Tensor) -> torch.Tensor:
        return output.repeat(self._repeats, 1, 1, 1)

    def _finished(self, hidden: torch.Tensor, masks: dict[str, torch.Tensor],
                  count: int) -> Iterator[dict[str, torch.Tensor]]:
        """
        Apply the last layers to samples whose dropped channels are columns of 0 in the weights.

        :param hidden: [B, D, h, w] of all samples, or [count · B, D, h, w].
        :param masks: [count, B, D] by task.
        """
        found: dict[str, torch.Tensor] = {}
        parts = hidden.permute(0, 2, 3, 1).flatten(1, 2).split(self.heads.widths, dim=2)
        for task, part in zip(self.tasks, parts):
            weight = self.heads.get_buffer(f'{task}_weight').flatten(1)
            bias = self.heads.get_buffer(f'{task}_bias')
            # [count, B, D, K]: a last layer for each image of each sample.
            layers = masks[task][..., None] * weight.T
            batch = layers.shape[1]
            if hidden.shape[0] == batch:  # Of all samples: one product with all last layers.
                layers = layers.permute(1, 2, 0, 3).flatten(2)
                y = torch.matmul(part, layers).unflatten(2, (count, -1)).permute(2, 0, 3, 1)
            else:
                y = torch.matmul(part, layers.flatten(0, 1)).unflatten(0, (count, batch))
                y = y.transpose(2, 3)
            found[task] = y.unflatten(3, hidden.shape[-2:]) + bias[:, None, None]
        for index in range(count):
            yield {task: values[index] for task, values in found.items()}
