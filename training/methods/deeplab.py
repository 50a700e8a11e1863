# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
The three-task model of Kendall, Gal and Cipolla (arXiv 1705.07115), any subset of its tasks.

Cross-entropy, the L1 norm of the vectors' error on the pixels of instances, and the L1 (or
squared) error of the inverse depth, each the mean over the pixels that count; ``loss_weights``
weighs them. What the network predicts has one noise a task: the depth's is kept in its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
import logging
from typing import Any

from emu_perception.networks.deeplab import INSTANCE
from emu_perception.networks.multitask import DEPTH, SEGMENTATION, upsample
import torch
from torch.nn import functional as F

from ..losses.terms import centroid_l1, cross_entropy, inverse_l1, inverse_mse
from ..metrics.instance_vectors import InstanceVectorErrors
from ..metrics.inverse_depth import InverseDepthErrors
from ..recipes.recipe import Recipe
from .module import TrainingModule
from .parts import Batch
from .sampling import size_of
from .validation_scores import ValidationScores

LOGGER = logging.getLogger('training')
# A network that knows its images by heart would say that it has no noise, which nothing has.
_SMALLEST_NOISE = 1e-12


class DeepLab(TrainingModule):
    """Trains a ``MultitaskDeepLab``."""

    @classmethod
    def network_arguments(cls, recipe: Recipe, num_classes: int,
                          depth_factor: float = 1.0) -> dict[str, Any]:
        """Return the arguments of ``MultitaskDeepLab``."""
        parts = recipe.network
        return {'encoder': parts.encoder, 'tasks': parts.tasks, 'num_classes': num_classes,
                'encoder_arguments': parts.encoder_arguments,
                'output_stride': parts.output_stride, 'aspp_rates': parts.aspp_rates,
                'aspp_dim': parts.aspp_dim, 'decoder_dim': parts.decoder_dim,
                'dropout': parts.head_dropout, 'depth_factor': depth_factor}

    def check_losses(self) -> None:
        """Check nothing: the noise is a task's, not a pixel's, and any loss has one."""

    def term_weights(self) -> dict[str, float]:
        """Return 1 for each term: the unweighted sum."""
        names = {SEGMENTATION: 'ce', INSTANCE: 'instance_l1', DEPTH: self._depth_term}
        return {names[task]: 1.0 for task in (SEGMENTATION, INSTANCE, DEPTH)
                if task in self.network.tasks}

    @property
    def _depth_term(self) -> str:
        return f'inverse_{self.recipe.loss.inverse_depth}'

    def terms(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the bare terms, at the size of the views."""
        raw, size = self.raw(batch), size_of(batch['label'])
        # At the views' size in float32: autocast would round pixels and metres to three digits.
        maps = {task: upsample(part.float(), size) for task, part in raw.items()}
        terms = {}
        if SEGMENTATION in maps:
            terms['ce'] = cross_entropy(maps[SEGMENTATION], batch['label'])
        if INSTANCE in maps:
            terms['instance_l1'] = centroid_l1(maps[INSTANCE], batch['vectors'],
                                               batch['on_instance'])
        if DEPTH in maps:
            # Before the ReLU of prediction: there a pixel of the sky could not come back.
            loss = inverse_l1 if self.recipe.loss.inverse_depth == 'l1' else inverse_mse
            terms[self._depth_term] = loss(maps[DEPTH][:, 0], batch['inverse'])
        return terms

    def on_validation_epoch_start(self) -> None:
        """Start the metrics of what other networks do not have."""
        super().on_validation_epoch_start()
        self.inverse_errors = InverseDepthErrors().to(self.device)
        self.vector_errors = InstanceVectorErrors().to(self.device)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Compare labels and depths at the truth's full size, vectors at the network's."""
        raw, size = self.network(self.normalized(batch['image'])), size_of(batch['label'])
        outputs = self.network.outputs_at(raw, size, self.depth_max)
        if self.confusion is not None and outputs.logits is not None:
            self.confusion.update(outputs.logits.argmax(1), batch['label'])
        if self.depth_errors is not None and outputs.depth is not None:
            self.depth_errors.update(outputs.depth, batch['depth'])
            self.inverse_errors.update(F.relu(upsample(raw[DEPTH].float(), size)[:, 0]),
                                       batch['inverse'])
        if INSTANCE in raw:
            self.vector_errors.update(
                upsample(raw[INSTANCE].float(), size_of(batch['vectors'])), batch['vectors'],
                batch['on_instance'])

    def validation_scores(self) -> ValidationScores:
        """Return none: one noise for all pixels is measured at the end."""
        return ValidationScores(self.device, labels=False, depth=False)

    def validation_values(self) -> tuple[dict[str, float], float]:
        """Return the metrics and their score; the skill of the vectors lies in 0..1 too."""
        values, score = super().validation_values()
        if DEPTH in self.network.tasks:
            found = self.inverse_errors.compute()
            values.update({f'val/inverse_{name}': float(found[name])
                           for name in ('mean_error', 'rms_error') if int(found['pixels'])})
        if INSTANCE in self.network.tasks:
            found = self.vector_errors.compute()
            values.update({f'val/instance_{name}': float(found[name])
                           for name in ('mean_error', 'skill') if int(found['pixels'])})
            score += values.get('val/instance_skill', 0.0)
        return values, score

    @torch.no_grad()
    def before_export(self, images: Iterable[Batch]) -> None:
        """
        Set the network's ``depth_noise``, the variance of its raw depth map.

        Learned: 2b² of a Laplace noise of scale b = exp(s), or exp(s) of a Gaussian one. Else from
        the mean absolute or squared error on images that it was not trained on.

        :param images: validation batches.
        """
        if DEPTH not in self.network.tasks:
            return
        laplace = self.recipe.loss.inverse_depth == 'l1'
        if self.task_weights.learned:
            scale = float(self.task_weights.s[self._depth_term].exp())
        else:
            # The first process is alone here: waiting for the others would be for ever.
            errors = InverseDepthErrors(sync_on_compute=False).to(self.device)
            self.network.eval()
            for batch in images:
                raw = self.network(self.normalized(batch['image'].to(self.device)))
                errors.update(upsample(raw[DEPTH].float(), size_of(batch['inverse']))[:, 0],
                              batch['inverse'].to(self.device))
            found = errors.compute()
            if not int(found['pixels']):
                LOGGER.warning('no validation image has a known depth: the noise of the depths '
                               "is not measured, it stays the training data's variance")
                return
            scale = float(found['mean_error'] if laplace else found['rms_error'].square())
        noise = 2 * scale**2 if laplace else scale
        self.network.get_buffer('depth_noise').fill_(max(_SMALLEST_NOISE, noise))
