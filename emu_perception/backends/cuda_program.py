# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Everything between an uploaded image and a packed block of maps, for one set of sizes.

Tensors in, tensors out, on one device and with nothing the CPU has to know on the way: what a CUDA
graph can hold. It runs on a CPU as well, for the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import logging
import math
from typing import Any, Protocol

from emu_perception.backends.base import Finishing
from emu_perception.backends.cuda_network import DeviceHeads
from emu_perception.backends.cuda_runtime import one_line
from emu_perception.backends.finishing import (
    HEADER_BYTES,
    packed,
    packed_bytes,
    packed_rows,
    parameters,
    Resizing,
    SCORE_BYTES,
)
from emu_perception.kernels import triton_runs_on
from emu_perception.kernels.resampling import image_taps, MAX_TAPS, resized_levels
from emu_perception.kernels.segmentation import fused_segmentation_maps
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.multitask import DEPTH, depth_moments, SEGMENTATION, upsample
from emu_perception.preprocessing import resized_image
from emu_perception.scores import scores_of
from emu_perception.uncertainty import segmentation_maps
import numpy as np
import torch

LOGGER = logging.getLogger('emu_perception')


@dataclass(frozen=True)
class Sizes:
    """(height, width) of the image, at the network and of the maps: what a graph is made for."""

    image: tuple[int, int]
    network: tuple[int, int]
    maps: tuple[int, int]


class DeviceForm(Protocol):
    """A network as a backend runs it on its GPU."""

    tasks: tuple[str, ...]

    def at(self, size: tuple[int, int]) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
        """Return what maps [1, 3, h, w] to raw maps by task, float32, [1, outputs, h/4, w/4]."""


@dataclass
class Model:
    """
    What all programs of a backend share.

    :ivar dtype: of the network's input.
    :ivar fused_maps: whether the Triton kernel reduces the logits.
    """

    network: DeviceForm
    dtype: torch.dtype
    device: torch.device
    temperature: float
    scale: torch.Tensor
    shift: torch.Tensor
    fused_maps: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the network's."""
        return self.network.tasks


class Program:
    """
    The three stages for one set of sizes.

    :ivar input_bytes: length of the block that is uploaded: parameters, then the image.
    :ivar output_bytes: length of the block of maps.
    """

    def __init__(self, model: Model, sizes: Sizes) -> None:
        self.model, self.sizes = model, sizes
        taps = image_taps(sizes.image, sizes.network)
        # An image so large that reading it all is less work than uploading it.
        self._on_cpu = taps is not None and max(len(axis.index) for axis in taps) > MAX_TAPS
        self._uploaded = sizes.network if self._on_cpu else sizes.image
        self._taps = None if taps is None or self._on_cpu else (
            taps[0].to(model.device), taps[1].to(model.device))
        self._network = model.network.at(sizes.network)
        self._resizing = Resizing.between(sizes.network, sizes.maps, model.device)
        self.input_bytes = HEADER_BYTES + 3 * self._uploaded[0] * self._uploaded[1]
        self.output_bytes = packed_bytes(model.tasks, sizes.maps)

    def stage(self, image: np.ndarray, finishing: Finishing, block: torch.Tensor) -> None:
        """Write parameters and image into a block of host memory."""
        target = block.numpy()
        target[:HEADER_BYTES].view(np.float32)[:] = parameters(finishing)
        np.copyto(target[HEADER_BYTES:].reshape(*self._uploaded, 3),
                  resized_image(image, self.sizes.network) if self._on_cpu else image)

    def prepare(self, block: torch.Tensor) -> torch.Tensor:
        """Return the network's input [1, 3, h, w], channels last in memory."""
        x = block[HEADER_BYTES:].view(*self._uploaded, 3)
        levels = x.float() if self._taps is None else resized_levels(x, self._taps)
        x = levels.mul_(self.model.scale).add_(self.model.shift)
        return x.to(self.model.dtype).unsqueeze(0).permute(0, 3, 1, 2)

    def network(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the raw maps by task, float32."""
        return self._network(x)

    def finish(self, raw: dict[str, torch.Tensor], block: torch.Tensor) -> torch.Tensor:
        """Return the packed maps."""
        return packed(self.maps(raw), block[:HEADER_BYTES].view(torch.float32), self._resizing)

    def maps(self, raw: dict[str, torch.Tensor]) -> NetworkMaps:
        """Upsample to the network's size, then reduce."""
        label = entropy = confidence = depth = variance = None
        if SEGMENTATION in raw:
            reduce = fused_segmentation_maps if self.model.fused_maps else segmentation_maps
            label, entropy, confidence = reduce(raw[SEGMENTATION][0], self.sizes.network,
                                                self.model.temperature)
        if DEPTH in raw:
            mean, spread = depth_moments(upsample(raw[DEPTH], self.sizes.network))
            depth, variance = mean[0], spread[0]
        return NetworkMaps(label, entropy, confidence, depth, variance)

    def run(self, block: torch.Tensor) -> torch.Tensor:
        """Run the three stages."""
        return self.finish(self.network(self.prepare(block)), block)

    def same(self, one: torch.Tensor, two: torch.Tensor) -> bool:
        """Return whether two blocks hold the same maps but for rounding."""
        begin = SCORE_BYTES * len(scores_of(self.model.tasks))
        labels = sum(math.prod(self.sizes.maps) for row in packed_rows(self.model.tasks)
                     if row.dtype is np.uint8)
        end = self.output_bytes - labels
        return alike(*(block[begin:end].view(torch.float32) for block in (one, two))) \
            and alike(*(block[end:] for block in (one, two)))


def choose_kernels(model: Model, program: Program, block: torch.Tensor) -> None:
    """
    Take each Triton kernel that gives what its plain form gives here, for this network.

    A kernel that fails, or that this GPU's compiler gets wrong, is said once and left out.
    """
    if not triton_runs_on(model.device):
        LOGGER.warning('cuda: no Triton (pip install triton): the last layers and the entropy run '
                       'in PyTorch, which is slower')
        return
    x = program.prepare(block)
    raw = program.network(x)
    checks: list[tuple[str, tuple[Any, str], Callable[[], dict[str, Any]]]] = [
        ('segmentation', (model, 'fused_maps'), lambda: vars(program.maps(raw)))]
    heads = getattr(model.network, 'heads', None)
    if isinstance(heads, DeviceHeads):
        checks.append(('classifier', (heads, 'fused'), lambda: program.network(x)))
    for kernel, switch, compute in checks:
        expected = compute()
        setattr(*switch, True)
        try:
            found = compute()
            wrong = [name for name, value in expected.items()
                     if value is not None and not alike(value, found[name])]
            problem = f'{wrong[0]} differs from the plain form' if wrong else ''
        except Exception as error:  # No C compiler, no memory, no such GPU, ...
            problem = one_line(error)
        if problem:
            setattr(*switch, False)
            LOGGER.warning('cuda: the Triton kernel %s is left out, PyTorch is slower (%s)',
                           kernel, problem)


def alike(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Return whether two maps agree but for rounding; a few pixels may round to another label."""
    one, two = one.double(), two.double()
    off = ~torch.isclose(one, two, rtol=2e-3, atol=2e-3, equal_nan=True)
    return not off.numel() or bool(off.double().mean() < 1e-3)
