# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The three-task network of Kendall, Gal and Cipolla (arXiv 1705.07115): DeepLabV3 with decoders.

Depth is regressed as its inverse (or as disparity), which can say that the sky is infinitely far.
There is one noise for the whole task instead of a variance for each pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
import math
from typing import Any, ClassVar

from emu_perception.errors import InputError
from emu_perception.networks.aspp import ASPP, ConvNormReLU
from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.networks.dilated_encoder import DilatedEncoder
from emu_perception.networks.multitask import DEPTH, Outputs, SEGMENTATION, upsample
import torch
from torch import nn
from torch.nn import functional as F

INSTANCE = 'instance'
TASKS = (SEGMENTATION, DEPTH, INSTANCE)
# Where the checkpoint sets no range: metres at which the variance of the sky is taken.
FAR_M = 1000.0


class Decoder(nn.Module):
    """
    From the shared map to one task: 3x3 convolution, norm, ReLU, 1x1 convolution.

    :param channels: C of the shared map.
    :param dim: channels between the two.
    :param outputs: channels of the result.
    """

    def __init__(self, channels: int, dim: int, outputs: int) -> None:
        super().__init__()
        self.hidden = ConvNormReLU(channels, dim, 3)
        self.classifier = nn.Conv2d(dim, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, h, w] to [B, outputs, h, w]."""
        raw: torch.Tensor = self.classifier(self.hidden(x))
        return raw


class MultitaskDeepLab(nn.Module):
    """
    A dilated encoder, ASPP and a decoder for each task.

    :param encoder: a timm model that takes ``output_stride``.
    :param tasks: a non-empty subset of ``TASKS``.
    :param num_classes: K.
    :param output_stride: of encoder and raw maps: 8, 16 or 32.
    :param aspp_rates: dilations of the ASPP.
    :param aspp_dim: its channels.
    :param decoder_dim: channels of every decoder.
    :param dropout: after the ASPP.
    :param encoder_arguments: further arguments of the timm model.
    :param depth_factor: metres times the depth map's unit: depth = depth_factor / raw. 1 where the
        map is inverse depth in 1/m; fx times baseline (pixels times metres) where it is disparity
        in pixels at the network's size.
    :ivar depth_noise: variance of the raw depth map, in its unit squared; set by the training.
    :raises InputError: if an argument is out of its range.
    """

    family: ClassVar[str] = 'deeplab'
    pixel_variance: ClassVar[bool] = False
    depth_form: ClassVar[DepthForm] = LINEAR  # Of depth and variance, whatever the raw map is.
    num_heads: ClassVar[int] = 1
    truth: ClassVar[Mapping[str, str]] = {
        SEGMENTATION: 'label', DEPTH: 'inverse', INSTANCE: 'instance'}

    def __init__(self, encoder: str = 'resnet101', tasks: Sequence[str] = TASKS,
                 num_classes: int = 40, output_stride: int = 8,
                 aspp_rates: Sequence[int] = (12, 24, 36), aspp_dim: int = 256,
                 decoder_dim: int = 256, dropout: float = 0.1,
                 encoder_arguments: dict[str, Any] | None = None,
                 depth_factor: float = 1.0) -> None:
        super().__init__()
        unknown = [task for task in tasks if task not in TASKS]
        if unknown or not tasks or len(set(tasks)) != len(tasks):
            raise InputError(f'tasks is {list(tasks)}: give some of {list(TASKS)}')
        # The upper bounds keep a damaged checkpoint from asking for all of the memory.
        for name, value, most in (('num_classes', num_classes, 255), ('aspp_dim', aspp_dim, 4096),
                                  ('decoder_dim', decoder_dim, 4096)):
            if not isinstance(value, int) or not 1 <= value <= most:
                raise InputError(f'{name} is {value}: give 1 to {most}')
        if not isinstance(aspp_rates, (list, tuple)) or not 1 <= len(aspp_rates) <= 8 or not all(
                isinstance(rate, int) and 1 <= rate <= 256 for rate in aspp_rates):
            raise InputError(f'aspp_rates is {aspp_rates}: give one to eight dilations of 1 to '
                             '256')
        if not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise InputError(f'dropout is {dropout}: give 0 up to below 1')
        if not isinstance(depth_factor, (int, float)) or not 0 < depth_factor < math.inf:
            raise InputError(f'depth_factor is {depth_factor}: give 1 for inverse depth, or fx '
                             'times baseline for disparity')
        self.arguments: dict[str, Any] = {
            'family': self.family, 'encoder': encoder, 'tasks': list(tasks),
            'num_classes': num_classes, 'output_stride': output_stride,
            'aspp_rates': list(aspp_rates), 'aspp_dim': aspp_dim, 'decoder_dim': decoder_dim,
            'dropout': dropout, 'encoder_arguments': dict(encoder_arguments or {}),
            'depth_factor': depth_factor}
        self.tasks = tuple(tasks)
        self.depth_factor = float(depth_factor)
        self.encoder = DilatedEncoder(encoder, output_stride, encoder_arguments)
        self.aspp = ASPP(self.encoder.channels, aspp_dim, aspp_rates, dropout)
        outputs = {SEGMENTATION: num_classes, DEPTH: 1, INSTANCE: 2}
        self.decoders = nn.ModuleDict({
            task: Decoder(aspp_dim, decoder_dim, outputs[task]) for task in tasks})
        if DEPTH in tasks:
            self.register_buffer('depth_noise', torch.tensor(1.0))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """
        Map normalised images [B, 3, H, W] to raw maps [B, C, H/stride, W/stride] by task.

        Segmentation: logits. Depth: inverse depth or disparity before its ReLU, one channel.
        Instance: (dx, dy) from each pixel to its instance's centroid, pixels of the input.
        """
        shared = self.aspp(self.encoder(images))
        return {task: decoder(shared) for task, decoder in self.decoders.items()}

    def forward_published(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute ``forward``, which is as published."""
        return self(images)

    def depth_moments(self, raw: torch.Tensor, depth_max: float = math.inf,
                      ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Turn inverse depth or disparity into depth and its variance.

        Depth is depth_factor / relu(raw), +inf at 0: the sky. The variance follows by the delta
        method: (d depth / d raw)² · depth_noise = depth⁴ · depth_noise / depth_factor². It grows
        without bound towards the sky, where one pixel would make the image's mean infinite, which
        has to remain the sign of a fault. So it is taken at min(depth, depth_max): beyond its
        range the model says "far", and claims no more of the far than of the end of the range.

        :param raw: [B, 1, H, W], already upsampled.
        :param depth_max: metres, end of the checkpoint's range; ``FAR_M`` where it has none.
        :return: depth [B, H, W] in metres, variance [B, H, W] in m²; both NaN where ``raw`` is
            not finite.
        """
        raw = raw[:, 0].float()
        # +inf would be depth 0 with variance 0: a fault that looks like certainty.
        depth = self.depth_factor / F.relu(torch.where(raw.isfinite(), raw, math.nan))
        nearest = depth.clamp(max=depth_max if math.isfinite(depth_max) else FAR_M)
        noise = self.get_buffer('depth_noise') / self.depth_factor ** 2
        return depth, noise * nearest.square().square()

    @staticmethod
    def description(arguments: Mapping[str, Any]) -> str:
        """Return what people are told of the heads that an architecture has."""
        return (f'output stride {arguments["output_stride"]}, ASPP of width '
                f'{arguments["aspp_dim"]}, decoders of width {arguments["decoder_dim"]}')

    def outputs_at(self, raw: Mapping[str, torch.Tensor], size: tuple[int, int],
                   depth_max: float = math.inf) -> Outputs:
        """
        Return logits, depth and variance at ``size``.

        An infinite depth becomes ``depth_max``: errors and the mixture of an ensemble need a
        number.

        :param depth_max: metres, end of the network's range; ``FAR_M`` where it is not known.
        """
        logits = upsample(raw[SEGMENTATION], size) if SEGMENTATION in raw else None
        if DEPTH not in raw:
            return Outputs(logits, None, None)
        with torch.autocast(raw[DEPTH].device.type, enabled=False):
            depth, variance = self.depth_moments(upsample(raw[DEPTH].float(), size), depth_max)
        return Outputs(logits, depth.clamp(max=depth_max if math.isfinite(depth_max) else FAR_M),
                       variance)

    @property
    def depth_layer(self) -> nn.Conv2d:
        """Return the last layer of the depth decoder."""
        return self._last_layer(DEPTH)

    @property
    def segmentation_layers(self) -> list[nn.Conv2d]:
        """Return the last layer of the segmentation decoder, a channel a class."""
        return [self._last_layer(SEGMENTATION)]

    def _last_layer(self, task: str) -> nn.Conv2d:
        layer = self.get_submodule(f'decoders.{task}.classifier')
        assert isinstance(layer, nn.Conv2d)
        return layer

    @torch.no_grad()
    def scale_depth(self, factor: float, given: Mapping[str, Any]) -> None:
        """
        Multiply the depths of the last layer, exactly, in place; in this network's unit after.

        :param factor: of the metres.
        :param given: architecture of the network that the layer is of, with its unit.
        """
        raw = self.depth_factor / (float(given.get('depth_factor', 1.0)) * factor)
        if raw != 1.0:
            for name in ('weight', 'bias'):
                self.depth_layer.get_parameter(name)[0] *= raw

    @torch.no_grad()
    def initialize_depth(self, mean_m: float, variance_m2: float) -> None:
        """
        Start the depth decoder at the data's mean depth, and the noise at their variance.

        A ReLU that starts below zero everywhere has no gradient and never wakes.
        """
        if DEPTH not in self.tasks:
            return
        raw = self.depth_factor / mean_m
        classifier = self.depth_layer
        # Relative to the bias, whose order is 0.1 for inverse depth and 10 for disparity.
        nn.init.normal_(classifier.weight, std=0.01 * raw)
        classifier.get_parameter('bias').fill_(raw)
        # The delta method the other way round; data of one depth must not have noise 0.
        noise = max(1e-6 * mean_m ** 2, variance_m2) * (raw / mean_m) ** 2
        self.get_buffer('depth_noise').fill_(noise)

    def folded(self) -> MultitaskDeepLab:
        """
        Return the inference form: a copy in eval mode, the norms of ASPP and decoders folded.

        :raises InputError: if ``depth_noise`` is no variance.
        """
        if DEPTH in self.tasks and not 0 < float(self.get_buffer('depth_noise')) < math.inf:
            raise InputError(f"depth_noise is {float(self.get_buffer('depth_noise'))}, no "
                             'variance: train or export the network again')
        network = copy.deepcopy(self).eval().requires_grad_(False)
        for module in [part for part in network.modules() if isinstance(part, ConvNormReLU)]:
            module.fold()
        return network
