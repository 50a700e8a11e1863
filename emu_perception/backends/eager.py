# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as it is: on every device, for every encoder; what all others are held against."""

from __future__ import annotations

from collections.abc import Sequence
import time

from emu_perception.backends.base import Backend, Stages
from emu_perception.backends.request import BackendOptions, Request
from emu_perception.network_maps import NetworkMaps
from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.families import FAMILIES, InferenceNetwork
from emu_perception.networks.multitask import (
    DEPTH,
    epistemic_maps,
    FoldedNetwork,
    SEGMENTATION,
    upsample,
)
from emu_perception.networks.statistics import STATISTICS, with_statistics
from emu_perception.precisions import autocast, DTYPES
from emu_perception.prediction import Prediction
from emu_perception.preprocessing import resized_image
from emu_perception.uncertainty import segmentation_maps
import numpy as np
import torch

# Images of a list on a GPU, whose cores one does not fill; not tried on one.
_TOGETHER_ON_CUDA = 8


class EagerBackend(Stages[torch.Tensor, dict[str, torch.Tensor]], Backend):
    """The folded network in PyTorch, in channels-last memory, under autocast where asked."""

    name = 'eager'
    families = tuple(FAMILIES)

    def __init__(self, network: InferenceNetwork, options: BackendOptions) -> None:
        super().__init__(network, options)
        self.device = options.device
        self._scale, self._shift = options.normalization()
        self._network = network.to(self.device).to(memory_format=torch.channels_last)
        if self.device.type == 'cuda':
            self.batch = _TOGETHER_ON_CUDA

    def prepare(self, image: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
        """Return float32 [1, 3, h, w], channels last in memory."""
        # A view with negative strides or a read-only buffer is no tensor yet.
        array = np.require(resized_image(image, size), requirements=('C', 'W'))
        # Uploaded as uint8: a quarter of the bytes of float32.
        x = torch.from_numpy(array).to(self.device).float().mul_(self._scale).add_(self._shift)
        return x.permute(2, 0, 1).unsqueeze(0)

    def network(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the raw maps by task, and the statistics where they are asked for."""
        with autocast(self.device, DTYPES[self.options.precision]):
            if not self.options.statistics:
                return self._network(x)
            assert isinstance(self._network, FoldedNetwork), 'others give none: Predictor checks'
            raw, statistics = with_statistics(self._network, x)
            return {**raw, STATISTICS: statistics}

    @torch.inference_mode()
    def predict_several(self, images: Sequence[np.ndarray], requests: Sequence[Request],
                        ) -> list[Prediction]:
        """Answer images: those of one size at the network go through it together."""
        found: dict[int, Prediction] = {}
        for size in dict.fromkeys(request.network_size for request in requests):
            indices = [index for index, request in enumerate(requests)
                       if request.network_size == size]
            start = time.perf_counter()
            x = torch.cat([self.prepare(images[index], size) for index in indices])
            self.synchronize()
            prepared = time.perf_counter()
            raw = self.network(x.contiguous(memory_format=torch.channels_last))
            self.synchronize()
            # Of each image its share of the time.
            seconds = [(prepared - start) / len(indices),
                       (time.perf_counter() - prepared) / len(indices)]
            for place, index in enumerate(indices):
                one = {name: values[place:place + 1] for name, values in raw.items()}
                found[index] = self._answer(one, requests[index], *seconds)
        return [found[index] for index in range(len(images))]

    def maps(self, raw: dict[str, torch.Tensor], size: tuple[int, int]) -> NetworkMaps:
        """Reduce in strips on a CPU (see ``segmentation_maps``)."""
        label = entropy = confidence = depth = variance = vectors = None
        if SEGMENTATION in raw:
            label, entropy, confidence = segmentation_maps(raw[SEGMENTATION][0], size,
                                                           self.options.temperature)
        if DEPTH in raw:
            mean, spread = self._network.depth_moments(upsample(raw[DEPTH].float(), size),
                                                       self.options.depth_max)
            depth, variance = mean[0], spread[0]
        if INSTANCE in raw:
            vectors = upsample(raw[INSTANCE].float(), size)[0]
        statistics = raw[STATISTICS][0] if self.options.statistics else None
        return NetworkMaps(label, entropy, confidence, depth, variance, vectors, statistics,
                           **epistemic_maps(raw, size))

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.device.type == 'cuda':
            # Not the whole device: that fails while another thread captures a graph on it.
            torch.cuda.current_stream(self.device).synchronize()
