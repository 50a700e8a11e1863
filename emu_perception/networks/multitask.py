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
from emu_perception.networks.depth_forms import depth_form, DepthForm, LINEAR
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
A_TEACHER = 'a sub-ensemble is a teacher, not a network for the robot; distil it with emu distill'
# Of what a network gives beside its tasks, the names in ``Outputs`` and ``NetworkMaps``.
_AMOUNTS = {EPISTEMIC[SEGMENTATION]: 'mutual_information', EPISTEMIC[DEPTH]: 'depth_epistemic'}


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


def outputs_at(raw: Mapping[str, torch.Tensor], size: tuple[int, int],
               form: DepthForm = LINEAR) -> Outputs:
    """
    Upsample the raw maps first, then apply the activations: the order of training.

    :param form: what the depth's channels say.
    """
    logits = upsample(raw[SEGMENTATION], size) if SEGMENTATION in raw else None
    amounts = {name: _amount(raw[task], size) for task, name in _AMOUNTS.items() if task in raw}
    if DEPTH not in raw:
        return Outputs(logits, None, None, **amounts)
    with torch.autocast(raw[DEPTH].device.type, enabled=False):
        return Outputs(logits, *form.moments(upsample(raw[DEPTH].float(), size)
                                             if raw[DEPTH].dtype != torch.float64
                                             else upsample(raw[DEPTH], size)), **amounts)


class SaysDepth:
    """
    A network, in whatever form, whose depth head says what ``depth_output`` names.

    :ivar depth_output: a name of ``DEPTH_FORMS``.
    """

    depth_output: str = LINEAR.name

    @property
    def depth_form(self) -> DepthForm:
        """Return what the depth's channels say."""
        return depth_form(self.depth_output)

    def outputs_at(self, raw: Mapping[str, torch.Tensor], size: tuple[int, int],
                   depth_max: float = math.inf) -> Outputs:
        """Return ``outputs_at``; mean and variance are the network's own and need no range."""
        return outputs_at(raw, size, self.depth_form)

    def depth_moments(self, raw: torch.Tensor, depth_max: float = math.inf,
                      ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return depth and variance of upsampled channels; the range is not needed either."""
        return self.depth_form.moments(raw)

    def extra_repr(self) -> str:
        """Return what tells a network from one of the same weights: caches ask for it."""
        return '' if self.depth_output == LINEAR.name else f'depth_output={self.depth_output}'


class MultitaskNetwork(SaysDepth, nn.Module):
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
    :param depth_output: what the depth head says, a name of ``depth_forms.DEPTH_FORMS``.
    :raises InputError: if an argument is out of its range.
    """

    pixel_variance: ClassVar[bool] = True  # The depth head has a variance for each pixel.
    # By task, the kind of truth that it learns from.
    truth: ClassVar[Mapping[str, str]] = {SEGMENTATION: 'label', DEPTH: 'depth'}

    def __init__(self, encoder: str, tasks: Sequence[str] = TASKS, num_classes: int = 40,
                 head_dim: int = 256, head_dropout: float = 0.1, context: str | None = None,
                 encoder_arguments: dict[str, Any] | None = None, num_heads: int = 1,
                 stage_dropout: float = 0.0, epistemic: bool = False,
                 depth_output: str = LINEAR.name) -> None:
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
        self.depth_output = depth_form(depth_output).name
        if DEPTH not in tasks and depth_output != LINEAR.name:
            raise InputError(f"depth_output is '{depth_output}', but tasks is {list(tasks)}: "
                             'leave it out')
        self.arguments: dict[str, Any] = {
            'encoder': encoder, 'tasks': list(tasks), 'num_classes': num_classes,
            'head_dim': head_dim, 'head_dropout': head_dropout, 'context': context,
            'encoder_arguments': dict(encoder_arguments or {}), 'num_heads': num_heads,
            'stage_dropout': stage_dropout,
            # Named only where it is so: earlier versions read what they could read.
            **({'epistemic': True} if epistemic else {}),
            **({} if depth_output == LINEAR.name else {'depth_output': depth_output})}
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
        form = depth_form(arguments.get('depth_output', LINEAR.name))
        return (f'all-MLP heads of width {arguments["head_dim"]}, context '
                f'{arguments["context"] or "none"}'
                + ('' if form is LINEAR else f', depth as {form.words}'))

    @property
    def depth_layer(self) -> nn.Conv2d:
        """Return the last layer of the first depth head, whose channel 0 is the mean's."""
        layer: nn.Conv2d = self.head(DEPTH).classifier
        return layer

    @property
    def segmentation_layers(self) -> list[nn.Conv2d]:
        """Return the last layer of each segmentation head, a channel a class."""
        return [self.head(SEGMENTATION, i).classifier for i in range(self.num_heads)]

    @torch.no_grad()
    def scale_depth(self, factor: float, given: Mapping[str, Any]) -> None:
        """
        Multiply the depths of the first depth head, exactly, in place.

        :param factor: of the metres.
        :param given: architecture of the network that its last layer is of.
        """
        if factor != 1.0:
            self.depth_form.scale(self.depth_layer, factor)

    @torch.no_grad()
    def initialize_depth(self, mean_m: float, variance_m2: float) -> None:
        """
        Start the depth head at the data's mean depth and a variance of its order.

        A ReLU that starts below zero everywhere has no gradient and never wakes.
        """
        if DEPTH not in self.tasks:
            return
        start = self.depth_form.start(mean_m, variance_m2)
        for pair in range(self.num_heads):
            classifier = self.head(DEPTH, pair).classifier
            nn.init.normal_(classifier.weight, std=0.01)
            classifier.get_parameter('bias').copy_(torch.tensor(start))

    def folded(self) -> FoldedNetwork:
        """
        Return the inference form: a copy in eval mode; this network is not touched.

        :raises InputError: if this is a sub-ensemble, which does not answer in one pass.
        """
        if self.num_heads > 1:
            raise InputError(f'num_heads is {self.num_heads}: {A_TEACHER}')
        return FoldedNetwork(self)


class FoldedNetwork(SaysDepth, nn.Module):
    """The network with its heads folded (``folding.py``): what inference runs, in eval mode."""

    family: ClassVar[str] = 'all_mlp'

    def __init__(self, network: MultitaskNetwork) -> None:
        super().__init__()
        # Copies: whoever goes on to train the network must not find its encoder frozen, moved to
        # another device or in eval mode.
        self.encoder = copy.deepcopy(network.encoder)
        self.context = copy.deepcopy(network.context)
        self.heads = FoldedHeads({task: network.head(task) for task in network.tasks})
        self.tasks = self.heads.tasks
        self.depth_output = network.depth_output
        self.eval().requires_grad_(False)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Map normalised images [B, 3, H, W] to raw maps [B, C, H/4, W/4] by task."""
        *fine, coarsest = self.encoder(images)
        return self.heads([*fine, self.context(coarsest)])
