# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Is what the model is sure of right, and what is wrong flagged: Mukhoti & Gal 2018."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics import Metric

from .exact_sum import as_float, exact_sum

VOIDS = ('exclude', 'as_inaccurate')
THRESHOLDS = ('mean', 'median')
CERTAINTY = ('p_accurate_given_certain', 'p_uncertain_given_inaccurate', 'pavpu')
CELLS = ('accurate_certain', 'accurate_uncertain', 'inaccurate_certain', 'inaccurate_uncertain',
         'invalid_certain', 'invalid_uncertain')


class CertaintyCells(Metric):
    """
    Counts accurate, inaccurate and invalid pixels by whether the model is certain of them.

    Certain is u < threshold, the threshold being the image's own mean or median uncertainty over
    all its pixels, labelled or not: a robot knows no truth. A pixel whose uncertainty is not
    finite is uncertain and is left out of the threshold. Of two middle values the median is the
    lower.

    :param threshold: 'mean' or 'median'.
    :param void: 'exclude' leaves pixels without truth out; 'as_inaccurate' counts them as
        inaccurate, which the tables of EMUFormer most likely do (for segmentation only).
    :raises ValueError: for another word.
    """

    full_state_update = False

    def __init__(self, threshold: str = 'mean', void: str = 'exclude') -> None:
        super().__init__()
        if threshold not in THRESHOLDS or void not in VOIDS:
            raise ValueError(f'threshold {threshold!r}, void {void!r}: threshold is one of '
                             f'{THRESHOLDS}, void one of {VOIDS}')
        self.threshold, self.void = threshold, void
        # In the order of CELLS.
        self.add_state('cells', torch.zeros(3, 2, dtype=torch.long), dist_reduce_fx='sum')
        self.cells: torch.Tensor

    def update(self, accurate: torch.Tensor, uncertainty: torch.Tensor,
               valid: torch.Tensor) -> None:
        """
        Add one image.

        :param accurate: bool [H, W]; what it says of invalid pixels is not read.
        :param uncertainty: [H, W], any unit.
        :param valid: bool [H, W], pixels with truth.
        :raises ValueError: if it is not one image, or the shapes differ.
        """
        if uncertainty.ndim > 2 or not accurate.shape == uncertainty.shape == valid.shape:
            raise ValueError(
                f'accurate {tuple(accurate.shape)}, uncertainty {tuple(uncertainty.shape)}, valid '
                f'{tuple(valid.shape)}: expected three maps [H, W] of one image')
        u = uncertainty.flatten()
        certain = u < _in_type_of(u, image_threshold(u, self.threshold))
        valid = valid.flatten()
        right = accurate.flatten() & valid
        rows = torch.stack([torch.stack([count_true(mask), count_true(mask & certain)])
                            for mask in (right, valid, torch.ones_like(valid))])
        # Of right, known and all pixels: right, known less right, all less known.
        rows = torch.cat([rows[:1], rows.diff(dim=0)])
        self.cells += torch.stack([rows[:, 1], rows[:, 0] - rows[:, 1]], dim=1)

    def compute(self) -> dict[str, torch.Tensor]:
        """
        Return the three figures under the chosen policy, and the six counts they come from.

        The counts are those before the policy, by the names in CELLS.
        """
        return {**certainty_figures(self.cells, self.void),
                **dict(zip(CELLS, self.cells.flatten()))}


def count_true(mask: torch.Tensor) -> torch.Tensor:
    """Return how many are true, int64 []; NumPy counts bytes where torch widens each."""
    if mask.device.type != 'cpu':
        return mask.sum()
    return torch.tensor(np.count_nonzero(mask.numpy()))


def image_threshold(uncertainty: torch.Tensor, kind: str) -> torch.Tensor:
    """Return the mean or median, float64 [], of an image's finite uncertainties [N]."""
    known, ends = finite_part(uncertainty)
    if not known.numel():
        return torch.full((), torch.nan, dtype=torch.float64, device=uncertainty.device)
    if kind == 'median':
        middle = (known.numel() - 1) // 2
        return (known.median() if known.device.type != 'cpu' else torch.from_numpy(
            np.partition(known.numpy(), middle))[middle]).double()
    mean = as_float(exact_sum(known)) / known.numel()
    # Fixed point rounds: of a constant map the mean is that constant, and no pixel is certain.
    return mean.clamp(*(end.double() for end in ends))


def finite_part(values: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return the finite ones of values [N], their smallest and their largest; NaN of none."""
    if values.numel():
        low, high = torch.aminmax(values)  # NaN where one is.
        if bool(low.isfinite() & high.isfinite()):
            return values, (low, high)
        values = values[values.isfinite()]
    if not values.numel():
        return values, (values.new_full((), torch.nan),) * 2
    low, high = torch.aminmax(values)
    return values, (low, high)


def _in_type_of(values: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Return the number of the values' own type below which is what is below a float64."""
    rounded = threshold.to(values.dtype)
    above = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))
    return torch.where(rounded.double() < threshold, above, rounded)


def certainty_figures(cells: torch.Tensor, void: str = 'exclude') -> dict[str, torch.Tensor]:
    """
    Return the three figures of ``CERTAINTY``, each in 0..1 or NaN.

    :param cells: [..., 3, 2] counts, rows accurate, inaccurate, invalid; columns certain,
        uncertain.
    :param void: 'exclude' or 'as_inaccurate'.
    """
    cells = cells.double()
    (ac, au), (ic, iu) = ((cells[..., row, 0], cells[..., row, 1]) for row in (0, 1))
    if void == 'as_inaccurate':
        ic, iu = ic + cells[..., 2, 0], iu + cells[..., 2, 1]
    return dict(zip(CERTAINTY, (ac / (ac + ic), iu / (ic + iu), (ac + iu) / (ac + au + ic + iu))))
