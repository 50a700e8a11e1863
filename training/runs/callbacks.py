# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Lightning callbacks: pictures for TensorBoard, and a file that says how far a run is."""

from __future__ import annotations

import logging
import math
from pathlib import Path
import signal
import time
from typing import Any

import cv2
from emu_perception.dataset_fields import IGNORE
from emu_perception.uncertainty import predictive_moments
from emu_perception.visualization import default_palette, label_color, panel, scalar_color
from emu_perception.whole_files import write_json
import lightning
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
import numpy as np
import torch

from ..data.examples import WholeImages
from ..methods.batch_norms import freeze_bn_statistics
from ..methods.sampling import size_of
from .stopping import pass_stops_on

# Far below one epoch, far above the rounding of share times epochs.
LOGGER = logging.getLogger('training')
_ROUNDING = 1e-6


class ImagePanels(lightning.Callback):
    """
    Writes panels of the same few validation images after every validation.

    :param images: the validation set.
    :param palette: rgb by class, or None.
    :param count: how many, evenly spaced.
    """

    def __init__(self, images: WholeImages, palette: Any, classes: int, count: int = 3) -> None:
        self._images = images
        self._indices = np.unique(np.linspace(0, len(images) - 1, count).astype(int)).tolist()
        self._palette = palette or default_palette(classes)
        self._entropy_max = float(np.log(max(2, classes)))

    @torch.no_grad()
    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Draw and log, on the first process."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if not loggers or not trainer.is_global_zero:
            return
        for number, index in enumerate(self._indices):
            picture = self._panel(module, self._images[index])
            for logger in loggers:
                logger.experiment.add_image(f'val/{number}', picture, trainer.global_step,
                                            dataformats='HWC')

    def _panel(self, module: Any, batch: dict[str, torch.Tensor]) -> np.ndarray:
        size = size_of(batch['label'])
        image = batch['image'].permute(1, 2, 0).numpy()
        moments = predictive_moments(module.samples(
            module.normalized(batch['image'][None].to(module.device)), size))
        tiles = [('image', image)]
        if moments.probabilities is not None:
            p = moments.probabilities[0]
            entropy = -torch.xlogy(p, p).sum(0)
            tiles += [('label', self._labels(p.argmax(0).to(torch.uint8))),
                      ('true label', self._labels(batch['label'])),
                      (f'entropy, 0..{self._entropy_max:.1f} nat',
                       scalar_color(entropy.cpu().numpy(), 0, self._entropy_max)),
                      ('wrong labels', _wrong(p.argmax(0).cpu(), batch['label'], image))]
        if moments.depth is not None and moments.depth_variance is not None:
            truth = batch['depth'].numpy()
            far = float(np.percentile(truth[truth > 0], 99)) if (truth > 0).any() else 10.0
            tiles += [(f'depth, 0..{far:.1f} m',
                       scalar_color(moments.depth[0].cpu().numpy(), 0, far)),
                      ('true depth', scalar_color(np.where(truth > 0, truth, np.nan), 0, far)),
                      ('depth error, 0..1 m', scalar_color(np.where(
                          truth > 0, np.abs(moments.depth[0].cpu().numpy() - truth), np.nan),
                          0, 1)),
                      ('sigma, 0..1 m', scalar_color(
                          moments.depth_variance[0].sqrt().cpu().numpy(), 0, 1))]
        return panel(tiles, columns=4, tile_width=320)

    def _labels(self, label: torch.Tensor) -> np.ndarray:
        return label_color(label.cpu().numpy(), self._palette)


def _wrong(label: torch.Tensor, truth: torch.Tensor, image: np.ndarray) -> np.ndarray:
    """Return the image, dim, with the pixels of another class than the true one in red."""
    wrong = ((truth != IGNORE) & (label != truth)).numpy()
    tile = cv2.resize(image // 3, wrong.shape[::-1])
    tile[wrong] = (255, 60, 60)
    return tile


class ProgressFile(Checkpoint):
    """
    Writes the epochs done to a file after each, for whoever started many runs.

    One of the checkpoints in Lightning's eyes, which come after all else and in their order: what
    it says is done is in the state already.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Write the file."""
        if trainer.is_global_zero:
            loss = trainer.callback_metrics.get('train/loss')
            write_json(self._path, {
                'epoch': trainer.current_epoch + 1, 'epochs': trainer.max_epochs,
                'loss': None if loss is None else float(loss)})


class PassStopsOn(lightning.Callback):
    """Ends the processes of a training by SIGTERM as a single one is, through our own handler."""

    _before: object = None

    def on_fit_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Keep the handler that is there before Lightning puts its own in front."""
        self._before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Take the signal back, with the part of Lightning's handler that is needed."""
        launcher = trainer.strategy.launcher

        def tell_others() -> None:
            if launcher is not None:
                launcher.kill(signal.SIGTERM)
        pass_stops_on(self._before, tell_others)


class StopAfter(lightning.Callback):
    """
    Stops at the end of the epoch in which this process's time is up, to be resumed.

    Between epochs, so that a resumed run makes the steps that one without a stop makes; without a
    state, so that each part of a run has its own time.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Stop if it is time, and say how to go on."""
        done, epochs = trainer.current_epoch + 1, trainer.max_epochs or 0
        # By one clock: a process that stopped alone would have the others wait for ever.
        if trainer.strategy.broadcast(time.monotonic() > self._end) and done < epochs:
            trainer.should_stop = True
            LOGGER.warning('max_minutes is up after %d of %d epochs: the same command with '
                           '--resume goes on', done, epochs)


class StopEarly(EarlyStopping):
    """
    Ends a run whose score does not grow any more.

    :param patience: validations in a row without a better score.
    """

    def __init__(self, patience: int) -> None:
        super().__init__('val/score', mode='max', patience=patience)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the count of before, and the patience of now, which has ended nothing yet."""
        super().load_state_dict({**state_dict, 'patience': self.patience, 'stopped_epoch': 0})

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """End a run that goes on where it has ended: an epoch more would follow each start."""
        if self.wait_count >= self.patience:
            LOGGER.warning('early_stopping is %d, and the last %d validations had no better '
                           'score: no epoch is added; early_stopping=N above %d goes on',
                           self.patience, self.wait_count, self.wait_count)
            self.stopped_epoch = trainer.current_epoch
            trainer.should_stop = True


class FreezeBN(lightning.Callback):
    """
    Freezes the statistics of the batch norms of a module's network from an epoch on.

    Without a state: the epoch says it all, so a resumed run does what one without a stop does. A
    moving average of the buffers comes to the frozen values by itself.

    :param first_epoch: 0-based.
    """

    def __init__(self, first_epoch: int) -> None:
        self._first_epoch = first_epoch

    def on_train_epoch_start(self, trainer: lightning.Trainer,
                             module: lightning.LightningModule) -> None:
        """Freeze; again in each epoch, as a validation between may have set all to training."""
        if trainer.current_epoch >= self._first_epoch:
            freeze_bn_statistics(module)


def first_frozen_epoch(share: float, epochs: int) -> int:
    """Return the first of the last epochs of a run, 0-based; at least one where share is not 0."""
    return epochs - math.ceil(share * epochs - _ROUNDING)
