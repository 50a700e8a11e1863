# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Uncertainty as a detector of errors: AUROC, average precision, and what a threshold gives."""

from __future__ import annotations

import torch
from torchmetrics import Metric

from .bins import Bins
from .certainty_cells import certainty_figures


class ErrorDetection(Metric):
    """
    Histogram of the uncertainty of right and of wrong pixels.

    The positives are the errors, the score is the uncertainty: an AUROC of 1 is an uncertainty
    that is higher on every error than on every right pixel.

    :param bins: of the uncertainty; within a bin pixels are ties, half of them counted as right
        order in the AUROC.
    :param points: of the curve against a global threshold; has to divide the number of bins.
    """

    full_state_update = False

    def __init__(self, bins: Bins, points: int = 64) -> None:
        super().__init__()
        if bins.count % points:
            raise ValueError(f'points {points} does not divide the {bins.count} bins')
        self.bins, self.points = bins, points
        # Rows: right, wrong.
        self.add_state('counts', torch.zeros(2, bins.count, dtype=torch.long),
                       dist_reduce_fx='sum')
        self.counts: torch.Tensor

    def update(self, uncertainty: torch.Tensor, accurate: torch.Tensor,
               place: torch.Tensor | None = None) -> None:
        """
        Add pixels with truth.

        :param uncertainty: any shape, in the unit of the bins.
        :param accurate: bool, same shape.
        :param place: the bin of each, int64 [N], where it is known.
        """
        place = self.bins.index(uncertainty.flatten()) if place is None else place
        index = place + self.bins.count * ~accurate.flatten()
        self.counts += torch.bincount(index, minlength=2 * self.bins.count).view(2, -1)

    def compute(self) -> dict[str, torch.Tensor]:
        """
        Return auroc, average_precision, fpr95, and the curve against a global threshold.

        average_precision is the sum over thresholds of precision times the gain in recall;
        fpr95 the share of right pixels flagged by the highest bin edge that flags 95 % of the
        errors. NaN where there is no error or nothing right. The curve is uncertainty (the
        threshold), p_accurate_given_certain, p_uncertain_given_inaccurate and pavpu, each
        [points]; at the last one everything is certain.
        """
        right, wrong = self.counts.double()
        rights, wrongs = right.sum(), wrong.sum()
        below = right.cumsum(0) - right
        # From the most uncertain bin down: what a threshold at the bin's lower edge flags.
        flagged_right, flagged_wrong = right.flip(0).cumsum(0), wrong.flip(0).cumsum(0)
        flagged = (flagged_right + flagged_wrong).clamp(min=1)
        enough = flagged_wrong >= 0.95 * wrongs
        precision = flagged_wrong / flagged
        return {'auroc': (wrong * (below + 0.5 * right)).sum() / (rights * wrongs),
                'average_precision': (precision * wrong.flip(0)).sum() / wrongs,
                'fpr95': torch.where(wrongs > 0, flagged_right[enough].amin() / rights,
                                     torch.nan),
                **self._curve()}

    def _curve(self) -> dict[str, torch.Tensor]:
        step = self.bins.count // self.points
        certain = self.counts.cumsum(1)[:, step - 1::step]
        uncertain = self.counts.sum(1, keepdim=True) - certain
        cells = torch.stack([certain, uncertain], dim=-1).transpose(0, 1)
        return {'uncertainty': self.bins.edges()[step::step], **certainty_figures(cells)}
