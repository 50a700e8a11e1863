# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""What a validation says of the uncertainties: calibration error and likelihoods."""

from __future__ import annotations

import math

from emu_perception.networks.depth_forms import DepthForm, LINEAR
from emu_perception.uncertainty import PredictiveMoments
import torch

from ..losses.terms import IGNORE
from ..metrics.calibration import CalibrationError
from ..metrics.gaussian_scores import GaussianScores
from ..metrics.proper_scores import ProperScores
from .parts import Batch

_STEP = 4


class ValidationScores:
    """
    Scores of one validation, by the names of their curves, over every fourth row and column.

    For curves that is plenty, and all pixels would cost more than the network;
    ``training.evaluate`` takes them all. No module: a network's state and its moving average
    have none of it.

    :param labels: whether there are scores of labels.
    :param depth: whether there are scores of depth.
    :param form: what the depth's density is.
    """

    def __init__(self, device: torch.device, *, labels: bool, depth: bool,
                 form: DepthForm = LINEAR) -> None:
        self._labels, self._depth = labels, depth
        self._ece = CalibrationError().to(device)
        self._nll = ProperScores().to(device)
        self._depth_nll = GaussianScores(form).to(device)

    def update(self, moments: PredictiveMoments, batch: Batch) -> None:
        """Add whole images."""
        if self._labels and moments.probabilities is not None:
            label = batch['label'][..., ::_STEP, ::_STEP]
            known = label != IGNORE
            probabilities = moments.probabilities[..., ::_STEP, ::_STEP].movedim(1, -1)[known]
            truth = label[known].long()
            confidence, predicted = probabilities.max(-1)
            self._ece.update(confidence, predicted == truth)
            self._nll.update(probabilities.gather(1, truth[:, None])[:, 0],
                             probabilities.square().sum(-1))
        if self._depth and moments.depth is not None and moments.depth_variance is not None:
            self._depth_nll.update(*(part[..., ::_STEP, ::_STEP] for part in (
                moments.depth, moments.depth_variance, batch['depth'])))

    def values(self) -> dict[str, float]:
        """Return ece, nll (nats) and depth_nll (nats); none where no pixel is known."""
        found: dict[str, float] = {}
        if self._labels:
            found['val/ece'] = float(self._ece.compute()['ece'])
            found['val/nll'] = float(self._nll.compute()['nll'])
        if self._depth:
            found['val/depth_nll'] = float(self._depth_nll.compute()['nll'])
        return {name: value for name, value in found.items() if not math.isnan(value)}
