# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The reference at its best on a CPU: transformers' SegFormer and the textbook's maps in OpenVINO.

Compiled as our own network is: in two graphs, the maps in float32, with as many threads.
"""

from __future__ import annotations

from typing import Any

from emu_perception.backends.openvino_conversion import converted, import_openvino
from emu_perception.backends.openvino_graphs import HINTS
from emu_perception.backends.signal_stack import kept_signal_stack
from emu_perception.benchmarking.reference import reference
from emu_perception.checkpoint import CheckpointMetadata
from emu_perception.errors import InputError
from emu_perception.networks.depth_forms import DepthForm
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH, SEGMENTATION
from emu_perception.preprocessing import network_size, resized_image
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

NAMES = {SEGMENTATION: ('label', 'segmentation_entropy', 'confidence'),
         DEPTH: ('depth', 'depth_variance')}


class CompiledReference:
    """
    uint8 image to the maps by name, at the image's size; graphs are made at the first of a size.

    :raises InputError: if the network is no MiT with plain heads, or a package is missing.
    """

    backend = 'openvino'

    def __init__(self, network: Network, metadata: CheckpointMetadata, precision: str) -> None:
        textbook: Any = reference(network, metadata, torch.device('cpu'), 'fp32')
        self._network = _Network(textbook.raw, metadata).eval()
        self._metadata, self._precision = metadata, precision
        self._form = network.depth_form
        # By the size at the network and that of the image.
        self._graphs: dict[tuple[tuple[int, int], tuple[int, int]], tuple[Any, Any]] = {}
        try:
            with kept_signal_stack():
                self._core = import_openvino().Core()
                self._core.get_property('CPU', 'FULL_DEVICE_NAME')  # Loads the plugin.
        except ImportError as error:
            raise InputError('reference_openvino: pip install openvino') from error

    def __call__(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the maps at the image's size, in host memory."""
        size = (image.shape[0], image.shape[1])
        at = network_size(size, self._metadata.input_size)
        if (at, size) not in self._graphs:
            self._graphs[at, size] = self._made(at, size)
        network, maps = self._graphs[at, size]
        network.infer([np.ascontiguousarray(resized_image(image, at))[None]], share_inputs=True)
        maps.infer([output.data for output in network.output_tensors], share_inputs=True)
        names = [name for task in self._network.tasks for name in NAMES[task]]
        return {name: output.data[0].copy()
                for name, output in zip(names, maps.output_tensors, strict=True)}

    @torch.no_grad()
    def _made(self, at: tuple[int, int], size: tuple[int, int]) -> tuple[Any, Any]:
        image = torch.zeros(1, *at, 3, dtype=torch.uint8)
        raw = self._network(image)
        maps = _Maps(self._network.tasks, size, self._metadata, self._form)
        return (self._compiled(converted(self._network, (image,)), self._precision),
                self._compiled(converted(maps, raw), 'fp32'))

    def _compiled(self, model: Any, precision: str) -> Any:
        return self._core.compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': HINTS[precision],
            'INFERENCE_NUM_THREADS': torch.get_num_threads()}).create_infer_request()


class _Network(nn.Module):

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, raw: Any, metadata: CheckpointMetadata) -> None:
        super().__init__()
        self.raw, self.tasks = raw, tuple(raw.tasks)
        self.register_buffer('mean', torch.tensor(metadata.mean))
        self.register_buffer('std', torch.tensor(metadata.std))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raw = self.raw(((image.float() / 255.0 - self.mean) / self.std).permute(0, 3, 1, 2))
        return tuple(raw[task] for task in self.tasks)


class _Maps(nn.Module):

    def __init__(self, tasks: tuple[str, ...], size: tuple[int, int],
                 metadata: CheckpointMetadata, form: DepthForm) -> None:
        super().__init__()
        self.tasks, self.size, self.calibration = tasks, size, metadata.calibration
        self.form = form

    def forward(self, *raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        maps: tuple[torch.Tensor, ...] = ()
        for task, x in zip(self.tasks, raw, strict=True):
            x = F.interpolate(x, size=self.size, mode='bilinear', align_corners=False)
            if task == SEGMENTATION:
                p = (x / self.calibration.temperature).softmax(dim=1)
                maps += (p.argmax(dim=1).to(torch.uint8),
                         -(p * p.clamp(min=1e-12).log()).sum(dim=1), p.max(dim=1).values)
            else:
                depth, variance = self.form.moments(x)
                maps += (depth, variance * self.calibration.variance_scale)
        return maps
