# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What is converted for OpenVINO: the network with its normalisation, and what makes its maps."""

from __future__ import annotations

from emu_perception.networks.depth_forms import DepthForm, LINEAR, VARIANCE_FLOOR
from emu_perception.networks.multitask import DEPTH, FoldedNetwork, SEGMENTATION
from emu_perception.networks.statistics import with_statistics
from emu_perception.outputs import EPISTEMIC
from emu_perception.uncertainty import label_entropy_confidence
import torch
from torch import nn
from torch.nn import functional as F

ORDER = (SEGMENTATION, DEPTH, *EPISTEMIC.values())


class NormalizedNetwork(nn.Module):
    """The network with its input's normalisation before it: uint8 [1, h, w, 3] in."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: FoldedNetwork, scale: torch.Tensor, shift: torch.Tensor,
                 statistics: bool = False) -> None:
        super().__init__()
        self.statistics = statistics
        self.network = network
        self.tasks = tuple(task for task in ORDER if task in network.tasks)
        self.register_buffer('scale', scale)
        self.register_buffer('shift', shift)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the raw maps in the order of ``ORDER``, and the statistics, if asked for."""
        x = (image.float() * self.scale + self.shift).permute(0, 3, 1, 2)
        if not self.statistics:
            raw = self.network(x)
            return tuple(raw[task] for task in self.tasks)
        raw, statistics = with_statistics(self.network, x)
        return (*(raw[task] for task in self.tasks), statistics)


class Maps(nn.Module):
    """
    From raw maps to maps at the network's size.

    :param factors: of the upsampling of each raw map, (vertical, horizontal), or
    :param size: (height, width) of the maps, where no whole numbers lead there.
    :param form: what the depth's channels say.
    """

    def __init__(self, tasks: tuple[str, ...], temperature: float, *,
                 factors: tuple[tuple[int, int], ...] = (),
                 size: tuple[int, int] | None = None, form: DepthForm = LINEAR) -> None:
        super().__init__()
        self.tasks, self.temperature = tasks, temperature
        self.factors, self.size, self.form = factors, size, form

    def forward(self, *raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Upsample, then reduce: the order of training."""
        maps: tuple[torch.Tensor, ...] = ()
        for i, (task, x) in enumerate(zip(self.tasks, raw, strict=True)):
            size = self.size
            if size is None:
                size = (x.shape[-2] * self.factors[i][0], x.shape[-1] * self.factors[i][1])
            if task == SEGMENTATION:
                logits = F.interpolate(x / self.temperature, size=size, mode='bilinear',
                                       align_corners=False)
                label, entropy, confidence = label_entropy_confidence(logits)
                maps += (label.to(torch.uint8), entropy, confidence)
            elif task == DEPTH:
                x = F.interpolate(x, size=size, mode='bilinear', align_corners=False)
                maps += self._moments(x)
            else:
                maps += (_softplus(F.interpolate(x, size=size, mode='bilinear',
                                                 align_corners=False)[:, 0]),)
        return maps

    def _moments(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.form.logarithmic:  # Exponentials are exact in OpenVINO.
            return self.form.moments(raw)
        mean, variance = raw.unbind(1)
        return F.relu(mean), _softplus(variance) + VARIANCE_FLOOR


def _softplus(x: torch.Tensor) -> torch.Tensor:
    """
    Return log(1 + e^x), accurate for small results too.

    OpenVINO computes it as it is written, which is 7 % off at x = -12: there e^x is lost beside
    the 1. Below -4 the first terms of the series are exact to 2e-6.
    """
    e = x.clamp(max=-4.0).exp()
    return torch.where(x < -4.0, e * (1.0 - e * (0.5 - e / 3.0)), F.softplus(x))
