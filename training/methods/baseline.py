# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The baselines: SegFormer, DepthFormer and SegDepthFormer, L = CE + w·GNLL (equation 7)."""

from __future__ import annotations

from typing import Any

import lightning
import torch

from emu_perception.networks.multitask import DEPTH, MultitaskNetwork, outputs_at, SEGMENTATION
from training.losses import cross_entropy, gaussian_nll
from training.metrics.depth import DepthErrors
from training.metrics.segmentation import ConfusionMatrix
from training.optimization import make_optimizer
from training.recipe import Recipe


class Baseline(lightning.LightningModule):
    """
    Trains a network on labels and depth.

    :param mean: of the input's normalisation, 0..1.
    :param std: likewise.
    """

    def __init__(self, network: MultitaskNetwork, recipe: Recipe, mean: tuple[float, ...],
                 std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        scale = 255.0 * torch.tensor(std)
        self.register_buffer('scale', (1.0 / scale)[:, None, None], persistent=False)
        self.register_buffer('shift', (-255.0 * torch.tensor(mean) / scale)[:, None, None],
                             persistent=False)
        self.confusion = (ConfusionMatrix(network.arguments['num_classes'])
                          if SEGMENTATION in network.tasks else None)
        self.depth_errors = DepthErrors() if DEPTH in network.tasks else None

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """Map uint8 [B, 3, H, W] to the network's input."""
        x = image.to(memory_format=torch.channels_last).float()
        return x * self.scale + self.shift

    def on_train_batch_start(self, batch: dict[str, torch.Tensor], batch_index: int) -> None:
        """Seed dropout and stochastic depth by step, so that a resumed run repeats them."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: dict[str, torch.Tensor], batch_index: int) -> torch.Tensor:
        """Return the loss of a batch of views."""
        outputs = outputs_at(self.network(self.normalized(batch['image'])),
                             batch['label'].shape[-2:])
        losses = {}
        if outputs.logits is not None:
            losses['ce'] = cross_entropy(outputs.logits, batch['label'])
        if outputs.depth is not None and outputs.depth_variance is not None:
            losses['gnll'] = self.recipe.loss.depth_weight * gaussian_nll(
                outputs.depth, outputs.depth_variance, batch['depth'])
        loss = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f'the loss is {float(loss)} at step {self.global_step} (epoch '
                f"{self.current_epoch}, samples {batch['index'].tolist()}): lower "
                'optimizer.learning_rate or set optimizer.gradient_clip, then resume')
        self.log_dict({f'train/{name}': value.detach() for name, value in losses.items()},
                      prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], batch_index: int) -> None:
        """Compare whole images with their truth at its full size."""
        outputs = outputs_at(self.network(self.normalized(batch['image'])),
                             batch['label'].shape[-2:])
        if self.confusion is not None and outputs.logits is not None:
            self.confusion.update(outputs.logits.argmax(1), batch['label'])
        if self.depth_errors is not None and outputs.depth is not None:
            self.depth_errors.update(outputs.depth, batch['depth'])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics and ``val/score``, by which the best checkpoint is chosen."""
        score = torch.zeros((), dtype=torch.float64)
        values: dict[str, torch.Tensor] = {}
        if self.confusion is not None:
            result = self.confusion.compute()
            values['val/miou'] = result['miou']
            values['val/pixel_accuracy'] = result['pixel_accuracy']
            score = score + result['miou'].cpu()
            self.confusion.reset()
        if self.depth_errors is not None:
            result = self.depth_errors.compute()
            for name in ('rmse', 'abs_rel', 'delta1'):
                values[f'val/{name}'] = result[name]
            # Both terms lie in 0..1 and grow with quality.
            score = score + result['delta1'].cpu()
            self.depth_errors.reset()
        self.log_dict({name: value.float() for name, value in values.items()}, prog_bar=True)
        self.log('val/score', score.float())

    def configure_optimizers(self) -> dict[str, Any]:
        """Return AdamW with the schedule stepped after every batch."""
        optimizer, schedule = make_optimizer(self.network, self.recipe.optimizer,
                                             int(self.trainer.estimated_stepping_batches))
        return {'optimizer': optimizer,
                'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}
