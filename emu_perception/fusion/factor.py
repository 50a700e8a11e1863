# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""The factor of an image: what its depth camera says of the network's metres, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np

# Fewer cells (a grid has about 18000) say nothing of an image.
FEWEST_CELLS = 90
# Further off than the image's factor by this, as log, a cell is no error of the network.
OUTLIER = 1.2
_BLOCK = 16  # Cells: within a block errors are of one kind.
_COVERED = 0.1  # Of a block, for it to count.
# As two blocks of this spread: one block alone has none of its own.
_PRIOR_SPREAD, _PRIOR_BLOCKS = 0.15, 2.0
_NORMAL = 1.4826  # From median absolute to standard deviation of a Gaussian.
_MEDIAN = 1.2533  # Standard error of a median, by that of a mean.


@dataclass(frozen=True)
class FactorReading:
    """
    The factor read off one image.

    :ivar log_factor: natural logarithm of sensor / network, the median over the cells.
    :ivar sigma: its standard error, as log.
    """

    log_factor: float
    sigma: float

    @property
    def factor(self) -> float:
        """Return sensor / network: 0.7 is a network that says 1/0.7 of the distance."""
        return math.exp(self.log_factor)


def read_factor(log_ratio: np.ndarray, known: np.ndarray, spread: float
                ) -> FactorReading | None:
    """
    Return the factor; None where too few cells are known.

    :param log_ratio: float32 [h, w], log(sensor / network); read where known.
    :param known: bool [h, w].
    :param spread: ``FusionConstants.factor_spread``.
    """
    values = log_ratio[known]
    if len(values) < FEWEST_CELLS:
        return None
    middle = float(np.median(values))
    size = (max(known.shape[1] // _BLOCK, 1), max(known.shape[0] // _BLOCK, 1))
    covered = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(np.where(known, log_ratio - np.float32(middle), np.float32(0.0)), size,
                       interpolation=cv2.INTER_AREA)
    there = covered > _COVERED
    blocks = total[there] / covered[there]
    count = len(blocks) + _PRIOR_BLOCKS
    own = _NORMAL * float(np.median(np.abs(blocks))) if len(blocks) else 0.0
    variance = (len(blocks) * own ** 2 + _PRIOR_BLOCKS * _PRIOR_SPREAD ** 2) / count
    return FactorReading(middle, spread * _MEDIAN * math.sqrt(variance / max(len(blocks), 1)))
