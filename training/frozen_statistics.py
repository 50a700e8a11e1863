# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norms that train with their running statistics at the end: with those they will work."""

from __future__ import annotations

import math

import lightning
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# Far below one epoch, far above the rounding of share times epochs.
_ROUNDING = 1e-6


def first_frozen_epoch(share: float, epochs: int) -> int:
    """Return the first of the last epochs of a run, 0-based; at least one where share is not 0."""
    return epochs - math.ceil(share * epochs - _ROUNDING)


def freeze_statistics(network: nn.Module) -> None:
    """
    Let batch norms use their running statistics and update them no more.

    Their scales and shifts go on learning, now against what they meet at inference, where a batch
    of few images does not blur the statistics.
    """
    for module in network.modules():
        if isinstance(module, _BatchNorm):  # Synchronised and timm's own norms too.
            module.eval()


class FrozenStatistics(lightning.Callback):
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
            freeze_statistics(module)
