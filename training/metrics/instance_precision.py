# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
Average precision of instances by the rules of Cityscapes' benchmark.

For each thing class and each overlap of 0.5, 0.55 .. 0.95: a prediction is right if its IoU with a
true instance of its class is above the overlap. Predicted masks do not overlap here, so for 0.5
and more at most one is, and there is nothing to choose between. A wrong one does not count where
more than the overlap's share of it lies on what is to be ignored: void, groups (pixels of the
class without an instance) and true instances that are too small. The precision-recall curve, with
the point (recall 0, precision 1), is integrated by trapezoids; a class without a true instance is
left out of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchmetrics import Metric

OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# Scores are counted in bins: sums of whole numbers do not depend on the order of the images.
SCORE_BINS = 1000


class InstancePrecision(Metric):
    """
    AP of label maps with instances.

    :param things: the class indices that have instances.
    :param min_pixels: smaller true instances are ignored; the benchmark's 100 are at 1024x2048.
    """

    full_state_update = False

    def __init__(self, things: Sequence[int], min_pixels: int = 100) -> None:
        super().__init__()
        self.things, self.min_pixels = tuple(things), min_pixels
        shape = (len(self.things), len(OVERLAPS), SCORE_BINS)
        for name in ('right', 'wrong'):
            self.add_state(name, torch.zeros(shape, dtype=torch.long), dist_reduce_fx='sum')
        self.add_state('true', torch.zeros(len(self.things), dtype=torch.long),
                       dist_reduce_fx='sum')
        self.right: torch.Tensor
        self.wrong: torch.Tensor
        self.true: torch.Tensor

    def update(self, label: np.ndarray, instance: np.ndarray, confidence: np.ndarray,
               true_label: np.ndarray, true_instance: np.ndarray) -> None:
        """
        Add one image; all maps [H, W].

        :param label: predicted class of each pixel.
        :param instance: predicted ids, 0 = none; a predicted instance is an id of one class.
        :param confidence: 0..1; the score of an instance is the mean over its pixels.
        :param true_label: 255 = void.
        :param true_instance: 0 = none.
        """
        for index, thing in enumerate(self.things):
            truth = np.where(true_label == thing, true_instance, 0).astype(np.int64)
            guess = np.where(label == thing, instance, 0).astype(np.int64)
            ids, sizes = np.unique(truth[truth > 0], return_counts=True)
            counted = {int(i): int(n) for i, n in zip(ids, sizes) if n >= self.min_pixels}
            self.true[index] += len(counted)
            ignored = (true_label == 255) | ((true_label == thing) & ~np.isin(
                truth, list(counted)))
            for one in np.unique(guess[guess > 0]):
                mask = guess == one
                best = self._best_iou(mask, truth[mask], counted)
                void = float(ignored[mask].mean())
                score = min(SCORE_BINS - 1, int(float(confidence[mask].mean()) * SCORE_BINS))
                for k, overlap in enumerate(OVERLAPS):
                    if best > overlap:
                        self.right[index, k, score] += 1
                    elif void <= overlap:
                        self.wrong[index, k, score] += 1

    @staticmethod
    def _best_iou(mask: np.ndarray, under: np.ndarray, counted: dict[int, int]) -> float:
        ids, shared = np.unique(under, return_counts=True)
        size = int(mask.sum())
        return max((int(n) / (size + counted[int(i)] - int(n)) for i, n in zip(ids, shared)
                    if int(i) in counted), default=0.0)

    def compute(self) -> dict[str, torch.Tensor]:
        """Return ap (mean over overlaps and classes), ap50, class_ap [things], instances."""
        table = torch.stack([torch.stack([
            average_precision(self.right[c, k], self.wrong[c, k], int(self.true[c]))
            for k in range(len(OVERLAPS))]) for c in range(len(self.things))]) \
            if self.things else torch.zeros(0, len(OVERLAPS))
        known = self.true.cpu() > 0
        nothing = torch.tensor(float('nan'))
        return {'ap': table[known].mean() if known.any() else nothing,
                'ap50': table[known][:, 0].mean() if known.any() else nothing,
                'class_ap': torch.where(known, table.mean(1), torch.nan),
                'instances': self.true.sum()}


def average_precision(right: torch.Tensor, wrong: torch.Tensor, true: int) -> torch.Tensor:
    """
    Return the area under the precision-recall curve.

    :param right: int64 [bins], right predictions by score, rising.
    :param wrong: likewise, wrong ones.
    :param true: how many there are to be found; with 0 the result is 0.
    """
    occupied = torch.nonzero(right + wrong).flatten().flip(0)  # From the surest on.
    if not true or not len(occupied):
        return torch.tensor(0.0, dtype=torch.float64)
    found = right[occupied].cumsum(0).double()
    total = (right + wrong)[occupied].cumsum(0).double()
    recall = torch.cat([torch.zeros(1, dtype=torch.float64), (found / true).cpu()])
    precision = torch.cat([torch.ones(1, dtype=torch.float64), (found / total).cpu()])
    return torch.trapezoid(precision, recall)
