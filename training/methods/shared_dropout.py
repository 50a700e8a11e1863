# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Monte Carlo samples that share what no dropout has touched yet; the samples are the same ones.

Where only the heads drop, encoder and folded product run once for all samples, and a dropped
channel is a column of the last layer's weight set to 0. Where the encoder drops after its stages,
all up to the first of these runs once for the samples of a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emu_perception.networks.encoder import PyramidEncoder
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.multitask import MultitaskNetwork
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from training.methods.shared import channels_last, hidden_map

# Pixels of all images of a group, and samples of which the last layers are one product.
GROUP_PIXELS = 2**21
GROUP_SAMPLES = 8


class SharedDropout(nn.Module):
    """
    A network whose samples are drawn with dropout on.

    Takes the network's encoder over; the samples of a seed are those of ``mc_dropout.samples``.

    :param count: of samples.
    """

    outputs_at = staticmethod(MultitaskNetwork.outputs_at)

    def __init__(self, network: MultitaskNetwork, count: int) -> None:
        super().__init__()
        self.tasks, self.count = network.tasks, count
        self.encoder, self.context = network.encoder, network.context
        self.heads = FoldedHeads({task: network.head(task) for task in self.tasks})
        self.dropouts = nn.ModuleDict({task: network.head(task).dropout for task in self.tasks})
        self._streams: _Streams | None = None
        drops = [part for part in self.encoder.modules()
                 if isinstance(part, _DropoutNd) and part.p > 0]
        # In eval mode a dropout does nothing, so that a hook can do it for each sample by itself.
        for part in drops:
            part.register_forward_hook(self._dropped)
        self.encoder_drops = bool(drops)
        self._first: nn.Module | None = None
        if drops == [getattr(self.encoder, 'stage_dropout', None)]:
            # The first stage that drops; ours comes before the encoder's own hook.
            self._first = next(part for part in self.encoder.model.modules() if any(
                getattr(hook, '__func__', None) is PyramidEncoder._drop
                for hook in part._forward_hooks.values()))
            self._first.register_forward_hook(self._repeated, prepend=True)
        self.eval().requires_grad_(False)

    def samples(self, x: torch.Tensor, seed: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the raw maps of every sample."""
        pixels = x.shape[0] * x.shape[-2] * x.shape[-1]
        group = min(GROUP_SAMPLES, max(1, GROUP_PIXELS // pixels)) if self.encoder_drops \
            else GROUP_SAMPLES
        hidden = None if self.encoder_drops else hidden_map([self.heads], self._features(x))
        for first in range(0, self.count, group):
            numbers = range(first, min(first + group, self.count))
            with _Streams(x.device, [seed * 1_000 + index for index in numbers]) as streams:
                if self.encoder_drops:
                    hidden = self._group_hidden(x, streams)
                assert hidden is not None
                masks = {task: streams.masks(self.dropouts[task], x.shape[0], width, hidden)
                         for task, width in zip(self.tasks, self.heads.widths)}
            yield from self._finished(hidden, masks, len(numbers))

    def _group_hidden(self, x: torch.Tensor, streams: _Streams) -> torch.Tensor:
        self._streams = streams
        try:
            if self._first is None:  # Blocks drop inside: all samples run from the start.
                x = x.repeat(streams.count, 1, 1, 1)
            return hidden_map([self.heads], self._features(x))
        finally:
            self._streams = None

    def _features(self, x: torch.Tensor) -> list[torch.Tensor]:
        *fine, coarsest = self.encoder(x)
        return channels_last([*fine, self.context(coarsest)])

    def _repeated(self, module: nn.Module, arguments: Any, output: torch.Tensor) -> Any:
        return None if self._streams is None else output.repeat(self._streams.count, 1, 1, 1)

    def _dropped(self, module: nn.Module, arguments: Any, output: torch.Tensor) -> Any:
        return None if self._streams is None else self._streams.dropped(module, output)

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


class _Streams:
    """
    The random numbers of some samples, each drawn as if its sample were alone.

    Within ``with`` the program's random numbers are borrowed, and given back after.
    """

    def __init__(self, device: torch.device, seeds: list[int]) -> None:
        self.count, self._device = len(seeds), device
        self._fork = torch.random.fork_rng(devices=[device] if device.type == 'cuda' else [])
        self._seeds = seeds
        self._states: list[torch.Tensor] = []

    def __enter__(self) -> _Streams:
        self._fork.__enter__()
        for seed in self._seeds:
            torch.manual_seed(seed)
            self._states.append(self._state())
        return self

    def __exit__(self, *error: Any) -> None:
        self._fork.__exit__(*error)

    def dropped(self, module: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return [count · B, ...] with each sample's part dropped by its own numbers."""
        batch = x.shape[0] // self.count
        if isinstance(module, nn.Dropout2d) and x.ndim == 4:
            masks = self.masks(module, batch, x.shape[1], x)
            return x * masks.flatten(0, 1)[:, :, None, None]
        return torch.cat([self._drawn(module, i, part)
                          for i, part in enumerate(x.split(batch))])

    def masks(self, module: nn.Module, batch: int, channels: int,
              like: torch.Tensor) -> torch.Tensor:
        """Return the factors [count, B, C] of whole channels: 0 or 1 / (1 - p)."""
        ones = like.new_ones(batch, channels, 1, 1)
        return torch.stack([self._drawn(module, i, ones.clone())[:, :, 0, 0]
                            for i in range(self.count)])

    def _drawn(self, module: Any, index: int, x: torch.Tensor) -> torch.Tensor:
        if module.p == 0:
            return x
        self._set_state(self._states[index])
        module.training = True
        try:
            return module.forward(x)  # Without the hook that leads here.
        finally:
            module.training = False
            self._states[index] = self._state()

    def _state(self) -> torch.Tensor:
        return (torch.cuda.get_rng_state(self._device) if self._device.type == 'cuda'
                else torch.get_rng_state())

    def _set_state(self, state: torch.Tensor) -> None:
        if self._device.type == 'cuda':
            torch.cuda.set_rng_state(state, self._device)
        else:
            torch.set_rng_state(state)
