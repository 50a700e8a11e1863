# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
EMUFormer: a SegDepthFormer that learns from the truth and from a teacher's uncertainties.

L = CE + w1 · GNLL + w2 · KL + w3 · RMSLE (equation 11), and where asked + w4 · the distance to the
teacher's mean depth: the paper passes on its variance only. With ``epistemic`` the student learns
apart what the teacher's members disagree by, as outputs beside the tasks'. The teacher sees the
student's views with a colour jitter of its own: on clean training images it would be surer than it
is on new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emu_perception.errors import text_of
from emu_perception.networks.multitask import (
    DEPTH,
    MultitaskNetwork,
    SEGMENTATION,
)
from emu_perception.uncertainty import PredictiveMoments
import torch
from torchvision.transforms import v2 as transforms

from ..data.class_names import classes_apart
from ..losses.depth_distances import DEPTH_DISTANCES
from ..losses.terms import amount_l1, IGNORE, kl_divergence, VARIANCE_LOSSES
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from .cutmix import cutmix
from .module import TrainingModule
from .moments_by_image import moments_by_image
from .parts import Batch, Parts
from .sampling import size_of, Teacher


class _Shared:
    """
    Holds the teacher, so that Lightning sees no part of the model in it.

    A copy of the student (the moving average of its weights) shares it instead of copying every
    network.
    """

    def __init__(self, value: Teacher) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, object]) -> _Shared:
        return self


class EMUFormer(TrainingModule):
    """
    Trains the student.

    The teacher answers for the same views; it gets no gradient and is not saved.

    :raises RecipeError: if there is no teacher, or it does not fit the student.
    """

    needs_teacher = True

    def __init__(self, network: MultitaskNetwork, recipe: Recipe, parts: Parts) -> None:
        self._options = recipe.emuformer
        super().__init__(network, recipe, parts)
        teacher, classes = parts.teacher, parts.classes
        if teacher is None:
            raise RecipeError("method 'emuformer' learns from a teacher, and there is none here")
        for task in network.tasks:
            if task not in teacher.tasks:
                raise RecipeError(f"field 'network.tasks' has '{task}', the teacher "
                                  f'{teacher.members[0].path} has only {list(teacher.tasks)}')
        if self.confusion is not None and tuple(classes) != teacher.classes:
            raise RecipeError(f'the classes of the teacher {teacher.members[0].path} are not '
                              f'those of the data set: {classes_apart(teacher.classes, classes)}: '
                              'they must be the same, in the same order; for classes of your own '
                              'learn without a teacher: method=baseline '
                              'network.initial_weights=default (docs/own_data.md)')
        if self._options.members_per_step > len(teacher.members):
            raise RecipeError(f"field 'emuformer.members_per_step' is "
                              f'{self._options.members_per_step}, the teacher has '
                              f'{len(teacher.members)} members')
        try:
            self.jitter = transforms.ColorJitter(*self._options.jitter)
        except ValueError as error:
            raise RecipeError(f"field 'emuformer.jitter' is {list(self._options.jitter)}: "
                              f'{text_of(error)}') from error
        self._answering = parts.answering
        self._teacher = _Shared(teacher)
        self._focal = parts.focal

    @classmethod
    def network_arguments(cls, recipe: Recipe, num_classes: int,
                          depth_factor: float = 1.0) -> dict[str, Any]:
        """Give the student the outputs that its recipe asks for."""
        return {**super().network_arguments(recipe, num_classes, depth_factor),
                'epistemic': recipe.emuformer.epistemic}

    def check_losses(self) -> None:
        """Check the losses: equation 9 trains the variance, whatever the depth loss."""
        # The weight in force: loss_weights.fixed takes the place of w3.
        if (self.task_weights.given.get('rmsle', 0) == 0
                or self.recipe.loss.depth in VARIANCE_LOSSES):
            super().check_losses()

    def on_fit_start(self) -> None:
        """Bring the teacher to the student's device."""
        super().on_fit_start()
        self._teacher.value.to(self.device)

    def term_weights(self) -> dict[str, float]:
        """Return 1, w1, w2, w3 of equation 11 and w4, of the terms that this student has."""
        weights = super().term_weights()
        if SEGMENTATION in self.network.tasks:
            weights['kl'] = self._options.kl_weight
        if DEPTH in self.network.tasks:
            weights['rmsle'] = self._options.rmsle_weight
            weights['depth_mean'] = self._options.depth_mean_weight
        if self._options.epistemic:
            weights.update({name: self._options.epistemic_weight for task, name in (
                (SEGMENTATION, 'mutual_information'), (DEPTH, 'depth_epistemic'))
                if task in self.network.tasks})
        return weights

    def _taught(self, images: torch.Tensor, size: tuple[int, int],
                index: torch.Tensor) -> PredictiveMoments:
        """Return what those members say of the views whose turn it is."""
        teacher, options = self._teacher.value, self._options

        def moments(views: torch.Tensor, members: Sequence[int] | None) -> PredictiveMoments:
            return teacher.moments(views, size, focal=self._focal, seed=self.global_step,
                                   members=members, epistemic=options.epistemic)
        if self._answering is not None:
            return moments_by_image(moments, images, [self._answering[i] for i in index.tolist()])
        if options.members_per_step:
            return moments(images, torch.randperm(
                len(teacher.members))[:options.members_per_step].tolist())
        return moments(images, None)

    def terms(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the four terms of equation 11 and those beyond it that are on, bare."""
        options = self._options
        if options.mix == 'cutmix':
            batch = cutmix(batch, options.mix_probability)
        size = size_of(batch['label'])
        images = torch.stack([self.jitter(image) for image in batch['image']])
        target = self._taught(images, size, batch['index'])
        outputs = self.network.outputs_at(self.raw(batch), size)
        losses = self.task_losses(outputs, batch)
        if outputs.logits is not None and target.probabilities is not None:
            where = batch['label'] != IGNORE if options.kl_pixels == 'valid' else None
            losses['kl'] = kl_divergence(target.probabilities, outputs.logits, where)
        if (target.depth is not None and target.depth_variance is not None
                and outputs.depth is not None and outputs.depth_variance is not None):
            distances = DEPTH_DISTANCES[self.network.depth_form.name]
            depths = (target.depth, target.depth_variance, outputs.depth, outputs.depth_variance)
            where = batch['depth'] > 0 if options.rmsle_pixels == 'valid' else None
            losses['rmsle'] = distances.variance(*depths, where)
            # The weight in force, as in check_losses. Off, as in the paper, it has no curve.
            if self.task_weights.given['depth_mean']:
                where = batch['depth'] > 0 if options.depth_mean_pixels == 'valid' else None
                losses['depth_mean'] = distances.mean(*depths, where)
        for name in ('mutual_information', 'depth_epistemic'):
            taught, own = getattr(target, name), getattr(outputs, name)
            if taught is not None and own is not None:
                losses[name] = amount_l1(taught, own)
        return losses
