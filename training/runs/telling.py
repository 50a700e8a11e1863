# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a run says of itself in lines of text: for logs, schedulers and nohup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
import logging
import time
from typing import Any

import lightning
import torch

from ..recipes.recipe import Recipe

LOGGER = logging.getLogger('training')
LOG_EVERY = 10  # Steps.
_SCORE = 'val/score'
# Of a validation, but the same at each.
_NOT_SHOWN = ('pixels', 'score')


def warn_of_what_never_comes(recipe: Recipe, batches: int) -> None:
    """
    Warn of what a recipe says and its length makes void.

    :param batches: of an epoch.
    """
    steps, warmup = batches * recipe.epochs, recipe.optimizer.warmup_steps
    if warmup >= steps:
        LOGGER.warning("field 'optimizer.warmup_steps' is %d, but the whole training has %d "
                       'steps: the learning rate never gets to its full height', warmup, steps)
    if recipe.validates and recipe.validate_every > recipe.epochs:
        LOGGER.warning("field 'validate_every' is %d, but there are %d epochs: none is validated, "
                       'and best is the last one', recipe.validate_every, recipe.epochs)
    # The first of them sets what the others are held against.
    if recipe.early_stopping and (
            (recipe.early_stopping + 1) * recipe.validate_every >= recipe.epochs):
        LOGGER.warning("field 'early_stopping' is %d validations, but there are %d: it never "
                       'comes', recipe.early_stopping, recipe.epochs // recipe.validate_every)


class Telling(lightning.Callback):
    """
    Logs a line for each epoch: loss, learning rate, what validation found, best so far, time left.

    Its state goes with the run's, so that a resumed one knows its best.

    :param shown: whether the lines of epochs are: a bar at a terminal says as much.
    :param chooses: whether the best is that of the highest score; else it is the last.
    :ivar best: the figures of the best validation so far, with its ``epoch``, from 1; empty
        before the first.
    """

    def __init__(self, *, shown: bool = True, chooses: bool = True) -> None:
        self._shown, self._chooses = shown, chooses
        self.best: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._losses: list[torch.Tensor] = []
        self._epochs_s: list[float] = []
        self._started = 0.0

    @property
    def last(self) -> dict[str, float]:
        """Return what the last validation found, also one of before the run was resumed."""
        return {name: value for name, value in self._last.items() if name.startswith('val/')}

    def state_dict(self) -> dict[str, Any]:
        """Return the best and the last figures."""
        return {'best': self.best, 'last': self._last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the figures of before."""
        self.best, self._last = state_dict['best'], state_dict['last']

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Begin an epoch."""
        self._started, self._losses = time.monotonic(), []

    def on_train_batch_end(self, trainer: lightning.Trainer, module: Any, outputs: Any,
                           batch: Any, batch_index: int) -> None:
        """Take note of the loss, without waiting for it."""
        self._losses.append(outputs['loss'].detach())

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Take note of the figures."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items()
                 if name.startswith('val/')}
        self._last = {**found, 'epoch': trainer.current_epoch + 1}
        if not self.best or not self._chooses or found[_SCORE] > self.best[_SCORE]:
            self.best = self._last

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Say it."""
        if not (self._shown and trainer.is_global_zero):
            return
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        self._epochs_s.append(time.monotonic() - self._started)
        left = (epochs - done) * sum(self._epochs_s) / len(self._epochs_s)
        loss = float(torch.stack(self._losses).mean())
        rate = trainer.optimizers[0].param_groups[0]['lr']
        parts = [f'loss {loss:.4g}', f'learning rate {rate:.3g}']
        if self._last.get('epoch') == done:
            parts.append(figures(self._last))
        if self.best:
            parts.append(f'best score {self.best[_SCORE]:.4g} of epoch {int(self.best["epoch"])}')
        parts.append(f'{self._epochs_s[-1]:.1f} s, {timedelta(seconds=round(left))} left')
        LOGGER.info('epoch %d/%d: %s', done, epochs, '; '.join(parts))

    def say_the_end(self, done: int, epochs: int) -> None:
        """
        Say the final figures.

        :param done: epochs that the run has made.
        """
        parts = [f'{name}, epoch {int(found["epoch"])}: {figures(found)}'
                 for name, found in (('best', self.best), ('last', self._last)) if found]
        LOGGER.info('%d of %d epochs done%s', done, epochs,
                    f'; {"; ".join(parts)}' if parts else ', none of them validated')


def figures(found: Mapping[str, float]) -> str:
    """Return what a validation found, for people."""
    shown = {name.removeprefix('val/'): value for name, value in found.items()
             if name.startswith('val/')}
    text = ', '.join(f'{name} {value:.4g}' for name, value in shown.items()
                     if name not in _NOT_SHOWN)
    return f'val {text or "has no truth to measure by"}'
