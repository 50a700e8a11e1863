# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Mean intersection over union from one integer confusion matrix."""

from __future__ import annotations

import torch
from torchmetrics import Metric


class ConfusionMatrix(Metric):
    """
    Counts pixels by true and predicted class; integers, so order and chunks do not matter.

    :param classes: K.
    """

    full_state_update = False

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state('counts', torch.zeros(classes, classes, dtype=torch.long),
                       dist_reduce_fx='sum')
        self.counts: torch.Tensor

    def update(self, prediction: torch.Tensor, label: torch.Tensor) -> None:
        """
        Add pixels.

        :param prediction: class of each pixel, 0..K-1, any shape.
        :param label: true class, same shape; pixels of no class (255) are not counted.
        """
        known = label < self.classes
        if not bool(known.all()):
            label, prediction = label[known], prediction[known]
        pairs = label.flatten().long() * self.classes + prediction.flatten().long()
        self.counts += torch.bincount(pairs, minlength=self.classes**2).view(
            self.classes, self.classes)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return miou over classes that occur, their number, pixel accuracy, counted pixels."""
        hits = self.counts.diagonal().double()
        iou = _iou(self.counts)
        present = ~iou.isnan()
        total = self.counts.sum()
        return {'miou': iou[present].mean() if present.any() else torch.tensor(float('nan')),
                'classes_counted': present.sum(),
                'pixel_accuracy': hits.sum() / total.clamp(min=1),
                'pixels': total}

    def iou(self) -> torch.Tensor:
        """
        Return the IoU of each class [K], NaN for a class that does not occur.

        Where several processes count, each has to call it, as it has to call ``compute``.
        """
        with self.sync_context():
            return _iou(self.counts)


def _iou(counts: torch.Tensor) -> torch.Tensor:
    hits = counts.diagonal().double()
    union = (counts.sum(0) + counts.sum(1)).double() - hits
    return torch.where(counts.sum(1) > 0, hits / union, torch.nan)
