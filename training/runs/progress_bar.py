# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Lightning's progress bar, in the words of the lines beside it."""

from __future__ import annotations

import lightning
from lightning.pytorch.callbacks import RichProgressBar


class EpochBar(RichProgressBar):
    """Counts epochs from 1, and shows losses alone: no version of a logger, cut off."""

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule,
                    ) -> dict[str, int | str | float | dict[str, float]]:
        """Return what stands beside the bar."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop('v_num', None)
        return shown

    def _get_train_description(self, current_epoch: int) -> str:
        # As wide as what stands there while it validates: the bar would jump.
        return (f'Epoch {current_epoch + 1}/{self.trainer.max_epochs}'
                ).ljust(len(self.validation_description))
