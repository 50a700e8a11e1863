# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The probabilities of an image in runs of pixels, so that each is read where it was made.

Of one answer of a network the softmax is made run by run and never whole: 49 MB of 40 classes at
640x480, which would be written to memory and read again. The mean of several is whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from emu_perception.uncertainty import goes_in_runs, pixels_of, RUN, softmax_runs
import torch

# What any CPU's vectors hold divides it: torch rounds what is left over otherwise.
_VECTORS = 64
# Which pixels, and their probabilities [K, n].
Run = tuple[slice, torch.Tensor]


class Whole:
    """
    Probabilities that are in memory.

    :param probabilities: float32 [K, H, W], as ``maps`` has them.
    """

    def __init__(self, probabilities: torch.Tensor) -> None:
        self.maps = probabilities.detach()
        self.shape = tuple(probabilities.shape)

    @property
    def device(self) -> torch.device:
        """Return where they are."""
        return self.maps.device

    def runs(self) -> Iterator[Run]:
        """Yield some pixels [n] at a time with their probabilities [K, n]."""
        pixels = self.maps.flatten(1)
        for first in range(0, pixels.shape[1], RUN):
            run = slice(first, first + RUN)
            yield run, pixels[:, run]

    def at(self, index: torch.Tensor) -> torch.Tensor:
        """Return [K, M] of the pixels int64 [M]."""
        return torch.stack([p.index_select(0, index) for p in self.maps.flatten(1)])


class Softmax:
    """
    Probabilities that are made of logits where they are asked for; to the bit those of a whole.

    :param logits: [K, H, W], of which ``suits`` is true.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        self.shape = tuple(logits.shape)
        self._pixels = pixels_of(logits.detach())

    @staticmethod
    def suits(logits: torch.Tensor) -> bool:
        """Tell whether logits [B, K, H, W] can be taken so: those of our networks on a CPU."""
        return goes_in_runs(logits) and logits.shape[-2] * logits.shape[-1] % _VECTORS == 0

    @property
    def device(self) -> torch.device:
        """Return where they are."""
        return self._pixels.device

    def runs(self) -> Iterator[Run]:
        """Yield as ``Whole``; what was yielded is written over with the next run."""
        for run, _, probabilities in softmax_runs(self._pixels):
            yield run, probabilities

    def at(self, index: torch.Tensor) -> torch.Tensor:
        """Return as ``Whole``."""
        filled = torch.cat([index, index.new_zeros(-len(index) % _VECTORS)])
        parts = [part.clone() for _, _, part in softmax_runs(
            self._pixels.index_select(0, filled))]
        return torch.cat(parts, dim=1)[:, :len(index)] if parts else self._pixels.new_empty(
            (self.shape[0], 0))


Probabilities = Whole | Softmax
