# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
EMUFormer: a SegDepthFormer that learns from the truth and from a teacher's uncertainties.

L = CE + w1 · GNLL + w2 · KL + w3 · RMSLE (equation 11), and where asked + w4 · the distance to the
teacher's mean depth: the paper passes on its variance only. The teacher sees the student's views
with a colour jitter of its own: on clean training images it would be surer than it is on new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from emu_perception.networks.multitask import (
    DEPTH,
    MultitaskNetwork,
    outputs_at,
    SEGMENTATION,
)
import torch
from torchvision.transforms import v2 as transforms
from training.losses import depth_mean_l1, IGNORE, kl_divergence, rmsle, VARIANCE_LOSSES
from training.methods.cutmix import cutmix
from training.methods.module import Batch, TrainingModule
from training.options import option, RecipeError

if TYPE_CHECKING:
    from training.methods.ensemble import Ensemble
    from training.recipe import Recipe


@dataclass(frozen=True)
class DistillationOptions:
    """Options of the method emuformer."""

    teacher: tuple[str, ...] = option(
        (), 'checkpoints or folders of members: an ensemble, a sub-ensemble, MC dropout')
    kl_weight: float = option(10.0, 'w2', low=0, high=1e6)
    kl_pixels: str = option('all', 'or only labelled ones', choices=('all', 'valid'))
    rmsle_weight: float = option(1.0, 'w3', low=0, high=1e6)
    rmsle_pixels: str = option('all', 'or only those of known depth', choices=('all', 'valid'))
    depth_mean_weight: float = option(
        0.0, "w4 of |log(d + 1) - log(d_t + 1)| to the teacher's mean depth d_t, metres; 0 = the "
        'paper, which passes on its variance only', low=0, high=1e6)
    depth_mean_pixels: str = option('all', 'or only those of known depth',
                                    choices=('all', 'valid'))
    jitter: tuple[float, float, float, float] = option(
        (0.2, 0.2, 0.2, 0.2), 'brightness, contrast, saturation (0..1), hue (0..0.5) of the '
        "teacher's copy only", low=0, high=1)
    mix: str = option('none', 'cutmix: rectangles of other views of the batch are pasted in, with '
                      'their truth, for teacher and student alike', choices=('none', 'cutmix'))
    mix_probability: float = option(0.5, 'of a view to get a rectangle', low=0, high=1)
    members_per_step: int = option(
        0, 'random members that answer each step; 0 = all. Fewer are faster, and their biased '
        'variance is too small by (T-1)/T', low=0)


class _Shared:
    """
    Holds the teacher, so that Lightning sees no part of the model in it.

    A copy of the student (the moving average of its weights) shares it instead of copying every
    network.
    """

    def __init__(self, value: Ensemble) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, object]) -> _Shared:
        return self


class EMUFormer(TrainingModule):
    """
    Trains the student.

    :param teacher: answers for the same views; gets no gradient and is not saved.
    :param classes: of the data set, or of the teacher where that names none.
    :param focal: focal length of the training camera in units of a view's width at scale 1; None
        if the data set does not say.
    :raises RecipeError: if the teacher does not fit the student.
    """

    def __init__(self, network: MultitaskNetwork, recipe: Recipe, mean: tuple[float, ...],
                 std: tuple[float, ...], teacher: Ensemble, classes: tuple[str, ...],
                 focal: float | None = None) -> None:
        self._options = recipe.emuformer
        super().__init__(network, recipe, mean, std)
        for task in network.tasks:
            if task not in teacher.tasks:
                raise RecipeError(f"field 'network.tasks' has '{task}', the teacher "
                                  f'{teacher.members[0].path} has only {list(teacher.tasks)}')
        if self.confusion is not None and tuple(classes) != teacher.classes:
            raise RecipeError(f'the teacher {teacher.members[0].path} knows the classes '
                              f'{list(teacher.classes)}, the data set names {list(classes)}: they '
                              'must be the same, in the same order')
        if self._options.members_per_step > len(teacher.members):
            raise RecipeError(f"field 'emuformer.members_per_step' is "
                              f'{self._options.members_per_step}, the teacher has '
                              f'{len(teacher.members)} members')
        try:
            self.jitter = transforms.ColorJitter(*self._options.jitter)
        except ValueError as error:
            raise RecipeError(f"field 'emuformer.jitter' is {list(self._options.jitter)}: "
                              f'{" ".join(str(error).split())}') from error
        self._teacher = _Shared(teacher)
        self._focal = focal

    def check_losses(self) -> None:
        """Check the losses: equation 9 trains the variance, whatever the depth loss."""
        # The weight in force: loss_weights.fixed takes the place of w3.
        if (self.task_weights.given.get('rmsle', 0) == 0
                or self.recipe.loss.depth in VARIANCE_LOSSES):
            super().check_losses()

    def on_fit_start(self) -> None:
        """Bring the teacher to the student's device."""
        self._teacher.value.to(self.device)

    def term_weights(self) -> dict[str, float]:
        """Return 1, w1, w2, w3 of equation 11 and w4, of the terms that this student has."""
        weights = super().term_weights()
        if SEGMENTATION in self.network.tasks:
            weights['kl'] = self._options.kl_weight
        if DEPTH in self.network.tasks:
            weights['rmsle'] = self._options.rmsle_weight
            weights['depth_mean'] = self._options.depth_mean_weight
        return weights

    def terms(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the four terms of equation 11 and, if it is on, the one of w4, bare."""
        teacher, options = self._teacher.value, self._options
        if options.mix == 'cutmix':
            batch = cutmix(batch, options.mix_probability)
        size = batch['label'].shape[-2:]
        images = torch.stack([self.jitter(image) for image in batch['image']])
        members = None
        if options.members_per_step:
            members = torch.randperm(len(teacher.members))[:options.members_per_step].tolist()
        target = teacher.moments(images, size, focal=self._focal, seed=self.global_step,
                                 members=members)
        outputs = outputs_at(self.raw(batch), size)
        losses = self.task_losses(outputs, batch)
        if outputs.logits is not None and target.probabilities is not None:
            where = batch['label'] != IGNORE if options.kl_pixels == 'valid' else None
            losses['kl'] = kl_divergence(target.probabilities, outputs.logits, where)
        if outputs.depth_variance is not None and target.depth_variance is not None:
            where = batch['depth'] > 0 if options.rmsle_pixels == 'valid' else None
            losses['rmsle'] = rmsle(target.depth_variance, outputs.depth_variance, where)
        # The weight in force, as in check_losses. Off, as in the paper, it has no curve either.
        if (outputs.depth is not None and target.depth is not None
                and self.task_weights.given['depth_mean']):
            where = batch['depth'] > 0 if options.depth_mean_pixels == 'valid' else None
            losses['depth_mean'] = depth_mean_l1(target.depth, outputs.depth, where)
        return losses
