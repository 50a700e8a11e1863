# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""SegFormer, DepthFormer and SegDepthFormer (arXiv 2402.10580): one encoder, a head a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import dataclass
import math
from typing import Any, ClassVar

from emu_perception.errors import InputError
from emu_perception.networks.context import CONTEXTS
from emu_perception.networks.encoders import make_encoder
from emu_perception.networks.folding import FoldedHeads
from emu_perception.networks.mlp_head import MLPHead
from emu_perception.outputs import EPISTEMIC
import torch
from torch import nn
from torch.nn import functional as F

SEGMENTATION = 'segmentation'
DEPTH = 'depth'
TASKS = (SEGMENTATION, DEPTH)
# Of what a network gives beside its tasks, the names in ``Outputs`` and ``NetworkMaps``.
_AMOUNTS = {EPISTEMIC[SEGMENTATION]: 'mutual_information', EPISTEMIC[DEPTH]: 'depth_epistemic'}
# Added to softplus: the variance divides in the GNLL, and a float32 softplus reaches 0.
VARIANCE_FLOOR = 1e-6


@dataclass(frozen=True)
class Outputs:
    """
    Maps at the image's size; None for a task the network does not have.

    :ivar logits: [B, K, H, W].
    :ivar depth: [B, H, W], metres, 0 or more.
    :ivar depth_variance: [B, H, W], m², float32, above 0.
    :ivar mutual_information: [B, H, W], nats, 0 or more; of networks with epistemic outputs.
    :ivar depth_epistemic: [B, H, W], m², 0 or more; likewise.
    """

    logits: torch.Tensor | None
    depth: torch.Tensor | None
    depth_variance: torch.Tensor | None
    mutual_information: torch.Tensor | None = None
    depth_epistemic: torch.Tensor | None = None


def depth_moments(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Turn the depth head's two channels into mean and variance, equations 4 and 5 of EMUFormer.

    In float32 whatever the input: in float16 softplus underflows to 0 below about -17.

    :param raw: [B, 2, H, W], already upsampled.
    :return: mean [B, H, W] in metres, variance [B, H, W] in m².
    """
    raw = raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
    return F.relu(raw[:, 0]), F.softplus(raw[:, 1]) + VARIANCE_FLOOR


def upsample(raw: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Upsample [B, C, h, w] bilinearly to ``size`` (height, width)."""
    return F.interpolate(raw, size=size, mode='bilinear', align_corners=False)


def epistemic_maps(raw: Mapping[str, torch.Tensor], size: tuple[int, int],
                   ) -> dict[str, torch.Tensor]:
    """
    Return mutual information and epistemic depth variance of the first image, where they are.

    Upsampled first, then softplus, in float32: as mean and variance.

    :param raw: maps [B, C, h, w] by task; what is not of ``outputs.EPISTEMIC`` is left alone.
    :return: [H, W] by the names of ``NetworkMaps``.
    """
    return {name: _amount(raw[task], size)[0] for task, name in _AMOUNTS.items() if task in raw}


def _amount(raw: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    raw = raw if raw.dtype == torch.float64 else raw.float()
    with torch.autocast(raw.device.type, enabled=False):
        return F.softplus(upsample(raw, size)[:, 0])


def outputs_at(raw: Mapping[str, torch.Tensor], size: tuple[int, int]) -> Outputs:
    """Upsample the raw maps first, then apply the activations: the order of training."""
    logits = upsample(raw[SEGMENTATION], size) if SEGMENTATION in raw else None
    amounts = {name: _amount(raw[task], size) for task, name in _AMOUNTS.items() if task in raw}
    if DEPTH not in raw:
        return Outputs(logits, None, None, **amounts)
    with torch.autocast(raw[DEPTH].device.type, enabled=False):
        return Outputs(logits, *depth_moments(upsample(raw[DEPTH].float(), size)
                                              if raw[DEPTH].dtype != torch.float64
                                              else upsample(raw[DEPTH], size)), **amounts)


class MultitaskNetwork(nn.Module):
    """
    One encoder with a full all-MLP head for each task.

    With tasks ('segmentation',) it is SegFormer, with ('depth',) DepthFormer, with both
    SegDepthFormer; EMUFormer's student is a SegDepthFormer.

    :param encoder: a timm model name.
    :param tasks: a non-empty subset of ``TASKS``.
    :param num_classes: K.
    :param head_dim: D of every head (768 for MiT-B2..B5, 256 for B0 and B1).
    :param head_dropout: dropout before each head's last layer.
    :param context: None, or a name of ``CONTEXTS``: what the 1/32 map passes through.
    :param encoder_arguments: further arguments of the timm model.
    :param num_heads: heads for each task; more than one makes a deep sub-ensemble, whose samples
        are the outputs of head pair 0, 1, ... on the one encoder.
    :param stage_dropout: see ``PyramidEncoder``; vision transformers have none.
    :param epistemic: whether each head has a further output, what is not known of its task:
        the mutual information, and the epistemic variance of the depth (``outputs.EPISTEMIC``).
    :raises InputError: if an argument is out of its range.
    """

    pixel_variance: ClassVar[bool] = True  # The depth head has a variance for each pixel.
    # By task, the kind of truth that it learns from.
    truth: ClassVar[Mapping[str, str]] = {SEGMENTATION: 'label', DEPTH: 'depth'}

    def __init__(self, encoder: str, tasks: Sequence[str] = TASKS, num_classes: int = 40,
                 head_dim: int = 256, head_dropout: float = 0.1, context: str | None = None,
                 encoder_arguments: dict[str, Any] | None = None, num_heads: int = 1,
                 stage_dropout: float = 0.0, epistemic: bool = False) -> None:
        super().__init__()
        unknown = [task for task in tasks if task not in TASKS]
        if unknown or not tasks or len(set(tasks)) != len(tasks):
            raise InputError(f'tasks is {list(tasks)}: give one or both of {list(TASKS)}')
        if not isinstance(num_classes, int) or not 1 <= num_classes <= 255:
            raise InputError(f'num_classes is {num_classes}: labels are uint8 with 255 = '
                             'unlabelled, give 1 to 255')
        # The upper bound keeps a damaged checkpoint from asking for all of the memory.
        if not isinstance(head_dim, int) or not 1 <= head_dim <= 4096:
            raise InputError(f'head_dim is {head_dim}: give 1 to 4096')
        if not isinstance(head_dropout, (int, float)) or not 0 <= head_dropout < 1:
            raise InputError(f'head_dropout is {head_dropout}: give 0 up to below 1')
        if context not in (None, *CONTEXTS):  # Compared, not looked up: it may be a list.
            raise InputError(f"context is '{context}': give null or {' or '.join(CONTEXTS)}")
        if not isinstance(num_heads, int) or not 1 <= num_heads <= 256:
            raise InputError(f'num_heads is {num_heads}: give 1 to 256')
        if not isinstance(stage_dropout, (int, float)) or not 0 <= stage_dropout < 1:
            raise InputError(f'stage_dropout is {stage_dropout}: give 0 up to below 1')
        if not isinstance(epistemic, bool):
            raise InputError(f'epistemic is {epistemic}: give true or false')
        if epistemic and num_heads > 1:
            raise InputError('epistemic is true: a sub-ensemble is a teacher and gives it by '
                             'itself; leave it out')
        self.arguments: dict[str, Any] = {
            'encoder': encoder, 'tasks': list(tasks), 'num_classes': num_classes,
            'head_dim': head_dim, 'head_dropout': head_dropout, 'context': context,
            'encoder_arguments': dict(encoder_arguments or {}), 'num_heads': num_heads,
            'stage_dropout': stage_dropout,
            # Named only where it is so: earlier versions read what they could read.
            **({'epistemic': True} if epistemic else {})}
        self.tasks = tuple(tasks)
        self.num_heads = num_heads
        self.encoder = make_encoder(encoder, encoder_arguments, stage_dropout)
        channels = self.encoder.channels
        self.context: nn.Module = CONTEXTS[context](channels[-1]) if context else nn.Identity()
        outputs = {SEGMENTATION: num_classes, DEPTH: 2}
        self.heads = nn.ModuleDict({
            self._head_name(task, i): MLPHead(channels, head_dim, outputs[task], head_dropout,
                                              epistemic=epistemic)
            for i in range(num_heads) for task in tasks})

    @staticmethod
    def _head_name(task: str, index: int) -> str:
        # The first pair has the names of a network with one: their checkpoints are alike.
        return task if index == 0 else f'{task}_{index}'

    def head(self, task: str, index: int = 0) -> MLPHead:
        """Return a task's head of pair ``index``."""
        head = self.heads[self._head_name(task, index)]
        assert isinstance(head, MLPHead)
        return head

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map normalised images [B, 3, H, W] to the four maps that the heads read."""
        return self._with_context(self.encoder(images))

    def features_of(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return ``features`` of what the encoder's ``backbone`` made of the images."""
        return self._with_context(self.encoder.from_backbone(maps))

    def _with_context(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        *fine, coarsest = maps
        return [*fine, self.context(coarsest)]

    def decode(self, features: list[torch.Tensor], pair: int = 0) -> dict[str, torch.Tensor]:
        """Map the four maps to raw maps [B, C, H/4, W/4] by task, with one pair of heads."""
        return self.raw_maps({task: self.head(task, pair)(features) for task in self.tasks})

    def raw_maps(self, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return what the heads give, with the channels that are beside a task's on their own."""
        if 'epistemic' not in self.arguments:
            return dict(found)
        return {**{task: x[:, :-1] for task, x in found.items()},
                **{EPISTEMIC[task]: x[:, -1:] for task, x in found.items()}}

    def forward(self, images: torch.Tensor, pair: int = 0) -> dict[str, torch.Tensor]:
        """Map normalised images [B, 3, H, W] to raw maps [B, C, H/4, W/4] by task."""
        return self.decode(self.features(images), pair)

    def forward_published(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute ``forward`` with the heads as published: the reference."""
        features = self.features(images)
        return self.raw_maps({task: self.head(task).forward_published(features)
                              for task in self.tasks})

    @staticmethod
    def description(arguments: Mapping[str, Any]) -> str:
        """Return what people are told of the heads that an architecture has."""
        return (f'all-MLP heads of width {arguments["head_dim"]}, context '
                f'{arguments["context"] or "none"}')

    @staticmethod
    def outputs_at(raw: Mapping[str, torch.Tensor], size: tuple[int, int],
                   depth_max: float = math.inf) -> Outputs:
        """Return ``outputs_at``; mean and variance are the network's own and need no range."""
        return outputs_at(raw, size)

    @property
    def depth_layer(self) -> nn.Conv2d:
        """Return the last layer of the first depth head, whose channel 0 is the mean's."""
        layer: nn.Conv2d = self.head(DEPTH).classifier
        return layer

    @property
    def segmentation_layers(self) -> list[nn.Conv2d]:
        """Return the last layer of each segmentation head, a channel a class."""
        return [self.head(SEGMENTATION, i).classifier for i in range(self.num_heads)]

    def raw_depth_factor(self, scale: float, given: Mapping[str, Any]) -> float:
        """
        Return the factor to this network's raw depths from those of another of its family.

        :param scale: of the depths in metres.
        :param given: the other's architecture.
        """
        return scale

    @torch.no_grad()
    def initialize_depth(self, mean_m: float, variance_m2: float) -> None:
        """
        Start the depth head at the data's mean depth and a variance of its order.

        A ReLU that starts below zero everywhere has no gradient and never wakes.
        """
        if DEPTH not in self.tasks:
            return
        # Data of one depth has variance 0, whose inverse softplus is -inf.
        variance_m2 = max(VARIANCE_FLOOR, variance_m2)
        # The inverse of softplus, log(exp(v) - 1), in a form that does not overflow.
        raw_variance = variance_m2 + torch.log(-torch.expm1(torch.tensor(-variance_m2)))
        for pair in range(self.num_heads):
            classifier = self.head(DEPTH, pair).classifier
            nn.init.normal_(classifier.weight, std=0.01)
            classifier.get_parameter('bias').copy_(
                torch.stack([torch.tensor(mean_m), raw_variance]))

    def folded(self) -> FoldedNetwork:
        """
        Return the inference form: a copy in eval mode; this network is not touched.

        :raises InputError: if this is a sub-ensemble, which does not answer in one pass.
        """
        if self.num_heads > 1:
            raise InputError(f'num_heads is {self.num_heads}: a sub-ensemble is a teacher, not a '
                             'network for the robot; distil it with emu distill')
        return FoldedNetwork(self)


class FoldedNetwork(nn.Module):
    """The network with its heads folded (``folding.py``): what inference runs, in eval mode."""

    family: ClassVar[str] = 'all_mlp'
    outputs_at = staticmethod(MultitaskNetwork.outputs_at)

    def __init__(self, network: MultitaskNetwork) -> None:
        super().__init__()
        # Copies: whoever goes on to train the network must not find its encoder frozen, moved to
        # another device or in eval mode.
        self.encoder = copy.deepcopy(network.encoder)
        self.context = copy.deepcopy(network.context)
        self.heads = FoldedHeads({task: network.head(task) for task in network.tasks})
        self.tasks = self.heads.tasks
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map normalised images [B, 3, H, W] to raw maps [B, C, H/4, W/4] by task."""
        *fine, coarsest = self.encoder(images)
        return self.heads([*fine, self.context(coarsest)])

    def depth_moments(self, raw: torch.Tensor, depth_max: float = math.inf,
                      ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``depth_moments``; the variance is the network's own and needs no range."""
        return depth_moments(raw)
