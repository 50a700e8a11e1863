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

        :param prediction: class of each pixel, any shape.
        :param label: true class, same shape; pixels of no class (255) are not counted.
        """
        known = label < self.classes
        pairs = label[known].long() * self.classes + prediction[known].long()
        self.counts += torch.bincount(pairs, minlength=self.classes**2).view(
            self.classes, self.classes)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return miou over the classes that occur, how many those are, and pixel accuracy."""
        hits = self.counts.diagonal().double()
        present = self.counts.sum(1) > 0
        union = (self.counts.sum(0) + self.counts.sum(1)).double() - hits
        iou = hits[present] / union[present]
        return {'miou': iou.mean() if present.any() else torch.tensor(float('nan')),
                'classes_counted': present.sum(),
                'pixel_accuracy': hits.sum() / self.counts.sum().clamp(min=1)}

    def iou(self) -> torch.Tensor:
        """Return the IoU of each class, NaN for a class that does not occur."""
        hits = self.counts.diagonal().double()
        union = (self.counts.sum(0) + self.counts.sum(1)).double() - hits
        return torch.where(self.counts.sum(1) > 0, hits / union, torch.nan)
