# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What every method's training has in common: input, validation, optimiser, the stop at NaN."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
import logging
from typing import Any

from emu_perception.errors import InputError
from emu_perception.networks.families import Network
from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, Outputs, SEGMENTATION
from emu_perception.uncertainty import predictive_moments
import lightning
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
import torch

from ..data.feature_store import kept_maps
from ..losses.lovasz import lovasz_softmax
from ..losses.task_weights import TaskWeights
from ..losses.terms import cross_entropy, depth_loss, IGNORE, VARIANCE_LOSSES
from ..metrics.depth import DepthErrors
from ..metrics.segmentation import ConfusionMatrix
from ..recipes.options import RecipeError
from ..recipes.recipe import Recipe
from ..recipes.registry import PRECISIONS
from .batch_norms import freeze_bn_statistics
from .optimization import make_optimizer
from .parts import Batch, CutViews, Parts
from .sampling import one_pass, Sampled, size_of, Triple, triple
from .validation_scores import ValidationScores

LOGGER = logging.getLogger('training')


class TrainingModule(lightning.LightningModule):
    """
    Trains a network on views of labels and depth; a method overrides ``terms``.

    :raises RecipeError: if the recipe's losses cannot train this network.
    """

    class_weights: torch.Tensor | None

    # Whether some parameters get no gradient in a step: distributed training must know.
    leaves_parameters_out = False
    # Whether a teacher stands in for labels: where it does, the data set may do without.
    needs_teacher = False

    def __init__(self, network: Network, recipe: Recipe, parts: Parts) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        scale = 255.0 * torch.tensor(parts.std)
        self.register_buffer('scale', (1.0 / scale)[:, None, None], persistent=False)
        self.register_buffer('shift', (-255.0 * torch.tensor(parts.mean) / scale)[:, None, None],
                             persistent=False)
        # Not saved: the recipe and the training data say it.
        self.register_buffer('class_weights', parts.class_weights, persistent=False)
        self.confusion = (ConfusionMatrix(network.arguments['num_classes'])
                          if SEGMENTATION in network.tasks else None)
        self.depth_errors = DepthErrors() if DEPTH in network.tasks else None
        self.depth_loss = depth_loss(recipe.loss, network.depth_form)
        self.task_weights = TaskWeights(recipe.loss_weights, self.term_weights())
        self.depth_max = parts.depth_max
        self._views_on = parts.views_on
        self._cut_views: CutViews | None = None
        self._samples = torch.empty(0, dtype=torch.int64)  # Of the batch that is trained on.
        self.check_losses()
        self._keep_frozen()
        if recipe.loss_weights.mode != 'equal':
            LOGGER.info('loss weights: %s', self.task_weights.description())

    @classmethod
    def network_arguments(cls, recipe: Recipe, num_classes: int,
                          depth_factor: float = 1.0) -> dict[str, Any]:
        """
        Return the arguments of the network that this trains, of its family.

        :param depth_factor: metres times the unit of the data's inverse depths, for whom it
            concerns.
        """
        parts = recipe.network
        return {'encoder': parts.encoder, 'tasks': parts.tasks, 'num_classes': num_classes,
                'encoder_arguments': parts.encoder_arguments, 'head_dim': parts.head_dim,
                'head_dropout': parts.head_dropout, 'context': parts.context,
                'depth_output': parts.depth_output}

    @classmethod
    def sampled(cls, network: Network, recipe: Mapping[str, Any], count: int | None) -> Sampled:
        """
        Return a trained network with the way this method samples it; here one pass.

        :param recipe: it was trained with, as its checkpoint says; empty where it says nothing.
        :param count: of samples, where it can be chosen; None = as in the recipe.
        :raises InputError: if it cannot be sampled so; a clause that the file's name precedes.
        """
        if network.num_heads > 1:
            raise InputError(f"has {network.num_heads} heads a task, so it cannot be sampled as "
                             "'deterministic'; leave the method to 'auto'")
        return Sampled(network.folded(), one_pass, calibrated=True)

    @classmethod
    def recognises(cls, network: Network, trained_so: bool) -> bool:
        """Return whether this is how a network is sampled where nobody says how."""
        return trained_so

    def check_losses(self) -> None:
        """
        Check that the losses train the variance.

        :raises RecipeError: if nothing does.
        """
        if self.depth_errors is not None and self.recipe.loss.depth not in VARIANCE_LOSSES:
            raise RecipeError(f"field 'loss.depth' is {self.recipe.loss.depth!r}, which trains no "
                              f"variance, and method '{self.recipe.method}' has no other loss for "
                              f'it: give {" or ".join(VARIANCE_LOSSES)}, or distil')

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """Map uint8 [B, 3, H, W] to the network's input."""
        x = image.to(memory_format=torch.channels_last).float()
        return x * self.get_buffer('scale') + self.get_buffer('shift')

    def samples(self, x: torch.Tensor, size: tuple[int, int]) -> Iterator[Triple]:
        """Yield what validation takes the mean of: logits, depth and variance at ``size``."""
        yield triple(self.network.outputs_at(self.network(x), size, self.depth_max))

    def train(self, mode: bool = True) -> TrainingModule:
        """
        Set the mode of all parts but the batch norms of an encoder of which nothing learns.

        Those use the statistics that came with its weights: others would make another encoder.
        """
        super().train(mode)
        self._keep_frozen()
        return self

    def _keep_frozen(self) -> None:
        if self.recipe.finetune.encoder == 'none':
            freeze_bn_statistics(self.network.encoder)

    def raw(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the network's raw maps for a training batch."""
        return self.through(batch)

    def through(self, batch: Batch, **pair: int) -> dict[str, torch.Tensor]:
        """
        Return the raw maps of a batch, from the encoder's kept maps where it brings them.

        :param pair: of heads, of a network that has several.
        """
        maps = kept_maps(batch)
        if maps is None:
            return self.network(self.normalized(batch['image']), **pair)
        assert isinstance(self.network, MultitaskNetwork)  # No other family keeps any.
        return self.network.decode(self.network.features_of(maps), **pair)

    def term_weights(self) -> dict[str, float]:
        """Return w of each term that ``terms`` gives, in its order (equation 7)."""
        weights = {'ce': 1.0} if SEGMENTATION in self.network.tasks else {}
        if weights and self.recipe.loss.segmentation == 'ce_lovasz':
            weights['lovasz'] = self.recipe.loss.lovasz_weight
        if DEPTH in self.network.tasks:
            weights[self.recipe.loss.depth] = self.recipe.loss.depth_weight
        return weights

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the terms of the loss by name, weighted (``task_weights``)."""
        return self.task_weights(self.terms(batch))

    def terms(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the bare terms of the loss by name."""
        return self.task_losses(self.network.outputs_at(
            self.raw(batch), size_of(batch['label']), self.depth_max), batch)

    def task_losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the bare terms that compare with the truth: CE, Lovasz and the depth loss."""
        losses = {}
        if outputs.logits is not None:
            losses['ce'] = cross_entropy(outputs.logits, batch['label'], self.class_weights)
            if self.recipe.loss.segmentation == 'ce_lovasz':
                losses['lovasz'] = lovasz_softmax(outputs.logits, batch['label'], IGNORE)
        if outputs.depth is not None and outputs.depth_variance is not None:
            losses[self.recipe.loss.depth] = self.depth_loss(
                outputs.depth, outputs.depth_variance, batch['depth'])
        return losses

    def on_fit_start(self) -> None:
        """Bring the images to the device that cuts their views."""
        if self._views_on is not None:
            self._cut_views = self._views_on(self.device)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Cut the views of a batch that the loader has only drawn; others stay as they are."""
        if self._cut_views is None or 'view' not in batch:
            return batch
        return self._cut_views(batch)

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed dropout and stochastic depth by step, so that a resumed run repeats them."""
        torch.manual_seed((self.recipe.seed * 1_000_003 + self.global_step) * 1_000
                          + self.global_rank)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Return the loss of a batch of views."""
        self._samples = batch['index']
        terms = self.terms(batch)
        losses = self.task_weights(terms)
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            parts = ', '.join(f'{name} {float(value):g}' for name, value in losses.items())
            raise FloatingPointError(
                f'the loss is {float(loss)} ({parts}) {self._where()}: lower '
                'optimizer.learning_rate or set optimizer.gradient_clip, and give another '
                'name=...')
        # With learned weights the bare terms: their weights have curves of their own.
        shown = terms if self.task_weights.learned else losses
        self.log_dict({f'train/{name}': value.detach() for name, value in shown.items()},
                      prog_bar=True)
        self.log_dict(self.task_weights.curves())
        self.log('train/loss', loss.detach())
        self.log('train/learning_rate', self.trainer.optimizers[0].param_groups[0]['lr'])
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """
        Check the gradients: of a finite loss they may be none, as of the root of 0.

        The step would spoil the weights, and the next batch be blamed for its loss.
        """
        # float16's own scaler expects gradients beyond its range, and leaves such steps out.
        named = [(name, parameter.grad) for name, parameter in self.named_parameters()
                 if parameter.grad is not None]
        if PRECISIONS[self.recipe.precision] == 'fp16' or not named:
            return
        norms = torch.stack(torch._foreach_norm([gradient for _, gradient in named]))
        if torch.isfinite(norms).all():
            return
        bad = [name for name, gradient in named if not torch.isfinite(gradient).all()]
        if bad:  # Else only the squares are beyond float32.
            raise FloatingPointError(
                f'the loss is finite but the gradient of {len(bad)} tensors is not, {bad[0]} '
                f'first, {self._where()}: look at these samples (emu prepare check), lower '
                'optimizer.learning_rate or set optimizer.gradient_clip, and give another '
                'name=...')

    def _where(self) -> str:
        return (f'at step {self.global_step} (epoch {self.current_epoch}, samples '
                f'{self._samples.tolist()} of {self.recipe.train_on})')

    def on_validation_epoch_start(self) -> None:
        """Start the scores; give every process the first one's buffers: all measure alike."""
        self._scores = self.validation_scores()
        if self.trainer.world_size > 1:
            for buffer in self.network.buffers():
                torch.distributed.broadcast(buffer, 0)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Compare whole images with their truth at its full size."""
        moments = predictive_moments(self.samples(self.normalized(batch['image']),
                                                  size_of(batch['label'])))
        self._scores.update(moments, batch)
        if self.confusion is not None and moments.probabilities is not None:
            self.confusion.update(moments.probabilities.argmax(1), batch['label'])
        if self.depth_errors is not None and moments.depth is not None:
            self.depth_errors.update(moments.depth, batch['depth'])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics and ``val/score``, by which the best checkpoint is chosen."""
        values, score = self.validation_values()
        self.log_dict(values)
        self.log('val/score', score)

    def validation_scores(self) -> ValidationScores:
        """Return what scores the uncertainties of a validation."""
        return ValidationScores(self.device, labels=self.confusion is not None,
                                depth=self.depth_errors is not None,
                                form=self.network.depth_form)

    def validation_values(self) -> tuple[dict[str, float], float]:
        """Return the metrics by the names of their curves, and the score made of them."""
        score = 0.0
        values: dict[str, float] = {}
        if self.confusion is not None:
            values.update(_named(self.confusion.compute(), 'miou', 'pixel_accuracy', 'pixels'))
            score += values.get('val/miou', 0.0)
            self.confusion.reset()
        if self.depth_errors is not None:
            values.update(_named(self.depth_errors.compute(), 'rmse', 'abs_rel', 'delta1'))
            # Both terms lie in 0..1 and grow with quality.
            score += values.get('val/delta1', 0.0)
            self.depth_errors.reset()
        values.update(self._scores.values())
        return values, score

    def before_export(self, images: Iterable[Batch]) -> None:
        """
        Complete what the network carries into its checkpoint; nothing, for most.

        :param images: validation batches, for what has to be measured.
        """

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimiser with the schedule stepped after every batch."""
        optimizer, schedule = make_optimizer(
            self.network, self.recipe.optimizer, int(self.trainer.estimated_stepping_batches),
            self.task_weights.parameter_groups(self.recipe.optimizer.learning_rate))
        return {'optimizer': optimizer,
                'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}


def _named(result: Mapping[str, torch.Tensor], *names: str) -> dict[str, float]:
    """Return metrics by the names of their curves; of images without truth there is none."""
    return {f'val/{name}': float(result[name]) for name in names if int(result['pixels'])}
