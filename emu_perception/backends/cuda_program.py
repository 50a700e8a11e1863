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
from typing import Protocol

from emu_perception.backends.agreement import Expected
from emu_perception.backends.packing import (
    header,
    HEADER_BYTES,
    packed,
    packed_bytes,
    Resizing,
    unpacked,
)
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.kernels.resampling import image_taps, MAX_TAPS, resized_levels
from emu_perception.kernels.segmentation import fused_segmentation_maps
from emu_perception.maps import MAPS
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.depth_forms import DepthForm
from emu_perception.networks.multitask import (
    DEPTH,
    epistemic_maps,
    SEGMENTATION,
    upsample,
)
from emu_perception.networks.statistics import STATISTICS
from emu_perception.prediction import Prediction
from emu_perception.preprocessing import resized_image
from emu_perception.region import Region
from emu_perception.uncertainty import segmentation_maps
import numpy as np
import torch

RawOf = Callable[[torch.Tensor], dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Sizes:
    """
    (height, width) of the image, at the network and of the maps: what a graph is made for.

    :ivar score_region: what the scores are measured on, which a graph cannot change either.
    """

    image: tuple[int, int]
    network: tuple[int, int]
    maps: tuple[int, int]
    score_region: Region | None = None


class DeviceForm(Protocol):
    """
    A network as a backend runs it on its GPU.

    :ivar statistics_length: how many statistics it gives beside the raw maps; 0 = none.
    :ivar depth_form: what the depth's channels say.
    """

    tasks: tuple[str, ...]
    statistics_length: int
    depth_form: DepthForm

    def at(self, size: tuple[int, int]) -> RawOf:
        """Return what maps [1, 3, h, w] to raw maps by task, float32, [1, outputs, h/4, w/4]."""

    def made_again(self, size: tuple[int, int]) -> bool:
        """Make anew what ``at`` returns where that is an old file's; return whether it was."""


class Model:
    """
    What all programs of a backend share.

    :param dtype: of the network's input.
    :ivar fused_maps: whether the Triton kernel reduces the logits.
    """

    def __init__(self, network: DeviceForm, dtype: torch.dtype, options: BackendOptions) -> None:
        self.network, self.dtype, self.options = network, dtype, options
        self.device = options.device
        self.scale, self.shift = options.normalization()
        self.fused_maps = False

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
        self.output_bytes = packed_bytes(model.tasks, sizes.maps,
                                         model.network.statistics_length)

    def stage(self, image: np.ndarray, request: Request, block: torch.Tensor) -> None:
        """Write parameters and image into a block of host memory."""
        target = block.numpy()
        target[:HEADER_BYTES].view(np.float32)[:] = header(request, self.model.options)
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
        return packed(self.maps(raw), block[:HEADER_BYTES].view(torch.float32), self._resizing,
                      self.sizes.score_region)

    def maps(self, raw: dict[str, torch.Tensor]) -> NetworkMaps:
        """Upsample to the network's size, then reduce."""
        label = entropy = confidence = depth = variance = None
        if SEGMENTATION in raw:
            reduce = fused_segmentation_maps if self.model.fused_maps else segmentation_maps
            label, entropy, confidence = reduce(raw[SEGMENTATION][0], self.sizes.network,
                                                self.model.options.temperature)
        if DEPTH in raw:
            mean, spread = self.model.network.depth_form.moments(
                upsample(raw[DEPTH], self.sizes.network))
            depth, variance = mean[0], spread[0]
        statistics = raw[STATISTICS][0] if STATISTICS in raw else None
        return NetworkMaps(label, entropy, confidence, depth, variance, statistics=statistics,
                           **epistemic_maps(raw, self.sizes.network))

    def run(self, block: torch.Tensor) -> torch.Tensor:
        """Run the three stages."""
        return self.finish(self.network(self.prepare(block)), block)

    def answer(self, image: np.ndarray, request: Request) -> Prediction:
        """Return the prediction of an image of these sizes, and wait for it."""
        block = torch.empty(self.input_bytes, dtype=torch.uint8)
        self.stage(image, request, block)
        return self.unpacked(self.run(block.to(self.model.device)).cpu(), {})

    def expected(self, image: np.ndarray, request: Request, rounding: float) -> Expected:
        """Return the same for others to be held against, at the network's size."""
        block = torch.empty(self.input_bytes, dtype=torch.uint8)
        self.stage(image, request, block)
        raw = self.network(self.prepare(block.to(self.model.device)))
        return Expected(raw, self.maps(raw), self.model.options, rounding,
                        self.model.network.depth_form)

    def unpacked(self, block: torch.Tensor, timing_ms: dict[str, float]) -> Prediction:
        """Return the prediction that a block in host memory holds."""
        return unpacked(block.numpy(), self.model.tasks, self.sizes.maps, self.sizes.network,
                        timing_ms, self.model.network.statistics_length)

    def same(self, one: torch.Tensor, two: torch.Tensor) -> bool:
        """
        Return whether two blocks hold the same but for rounding.

        A few pixels may round to another label, or to the other side of the range; none may be no
        number in one alone.
        """
        a, b = (self.unpacked(block.cpu(), {}) for block in (one, two))
        for name, one_map in a.maps.items():
            two_map = b.maps[name]
            if MAPS[name].unknown == 'none' and not np.array_equal(np.isfinite(one_map),
                                                                   np.isfinite(two_map)):
                return False
            off = ~np.isclose(one_map, two_map, rtol=2e-3, atol=2e-3, equal_nan=True)
            if off.mean() >= 1e-3:
                return False
        numbers = [(value, b.scores[name]) for name, value in a.scores.items()]
        if a.statistics is not None and b.statistics is not None:
            numbers += zip(a.statistics.tolist(), b.statistics.tolist(), strict=True)
        values, others = np.array(numbers).T
        return bool(np.isclose(values, others, rtol=2e-3, atol=2e-3, equal_nan=True).all())
