# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""A folded network in the form that a GPU runs fastest: weights converted once, heads fused."""

from __future__ import annotations

from collections.abc import Sequence
import copy

from emu_perception.errors import InputError
from emu_perception.kernels.classifier import fused_classifier, plain_classifier
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.networks.statistics import picture_statistics, STATISTICS, statistics_length
from emu_perception.outputs import EPISTEMIC
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


class DeviceNetwork(nn.Module):
    """
    Maps normalised images [1, 3, h, w] of type ``dtype`` to raw maps by task, always float32.

    :param network: stays as it is, where it is.
    :param dtype: of weights and maps up to each head's last layer.
    :param statistics: whether the statistics are asked for too, float32 whatever the type.
    :raises InputError: if there is another task than segmentation and depth.
    """

    def __init__(self, network: FoldedNetwork, device: torch.device, dtype: torch.dtype,
                 statistics: bool = False) -> None:
        super().__init__()
        if not set(network.tasks) <= {SEGMENTATION, DEPTH, *EPISTEMIC.values()}:
            raise InputError(f"backend is 'cuda', which does not know the tasks "
                             f"{', '.join(network.tasks)}: give 'eager'")
        self.tasks, self.depth_form = network.tasks, network.depth_form
        self.statistics_length = statistics_length(network) if statistics else 0
        self.encoder = converted(copy.deepcopy(network.encoder).to(device), dtype)
        self.context = converted(copy.deepcopy(network.context).to(device), dtype)
        self.heads = DeviceHeads(network.heads, device, dtype)
        self.eval().requires_grad_(False)

    def at(self, size: tuple[int, int]) -> DeviceNetwork:
        """Return itself: it runs at every size."""
        return self

    def made_again(self, size: tuple[int, int]) -> bool:
        """Return False: it comes from no file."""
        return False

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the raw maps [1, outputs, h/4, w/4], and the statistics [1, N] if asked for."""
        *fine, coarsest = self.encoder(images)
        raw = self.heads([*fine, self.context(coarsest)])
        if self.statistics_length:
            raw[STATISTICS] = picture_statistics([*fine, coarsest], raw,
                                                 self.depth_form)
        return raw


class DeviceHeads(nn.Module):
    """
    ``FoldedHeads`` as products on channels-last maps and one kernel for each last layer.

    :ivar fused: whether the Triton kernel is used, which needs four maps.
    """

    def __init__(self, heads: FoldedHeads, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.tasks, self.widths, self.scales = heads.tasks, heads.widths, heads.scales
        self.hidden = heads.hidden
        self.fused = False
        for name, tensor in heads.named_buffers():
            # Biases are added in float32.
            wanted = tensor.dtype if name.endswith('_bias') else dtype
            self.register_buffer(name, tensor.detach().flatten(1).to(device, wanted, copy=True)
                                 if tensor.ndim > 1 else tensor.detach().to(device, wanted,
                                                                            copy=True))

    def projected(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return each map times its weight, [1, D, h_i, w_i] with channels last in memory."""
        found = []
        for i, x in enumerate(features):
            # A view for a map with channels last, and for any other cuBLAS reads it transposed.
            y = F.linear(x.flatten(2).transpose(1, 2), self.get_buffer(f'weight{i}'),
                         self.get_buffer('bias') if i == 0 else None)
            found.append(y.transpose(1, 2).unflatten(2, x.shape[-2:]))
        return found

    def forward(self, features: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the raw map [1, outputs, h_0, w_0] of each task, float32."""
        maps = self.projected(features)
        # The kernel counts elements in 32 bits.
        fits = maps[0].numel() < 2 ** 31 and len(maps) == 4
        classify = fused_classifier if self.fused and fits else plain_classifier
        parts = [part.split(self.widths, dim=1) for part in maps]
        return {task: classify([part[i] for part in parts], self.get_buffer(f'{task}_weight'),
                               self.get_buffer(f'{task}_bias'))
                for i, task in zip(self.hidden, self.tasks)}


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Convert a module's weights in place, channels last; batch norms stay as they are."""
    for part in module.modules():
        # Their variances may leave float16's range, and they take maps of any type.
        if not isinstance(part, _BatchNorm):
            for values in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
                if values.is_floating_point():
                    values.data = values.data.to(dtype)
    return module.to(memory_format=torch.channels_last)
