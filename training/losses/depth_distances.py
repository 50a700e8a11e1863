# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""
How far a student's depth is from its teacher's, a row for each form of the student's depth head.

A teacher is asked for metres, so that it may be of any form, or of several: to a student whose
errors are the logarithm's, its mean depth d_t and variance sigma_t² are ln d_t and
(sigma_t / d_t)², which is what a teacher of that form has said, and what the delta method makes of
another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from emu_perception.networks.depth_forms import DEPTH_FORMS
import torch

from .terms import depth_mean_l1, rmsle

# Teacher's depth and variance, the student's, and which pixels count; None = all.
Distance = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor,
                     torch.Tensor | None], torch.Tensor]
# Inside the root, as in equation 9.
_EPSILON = 1e-8


@dataclass(frozen=True)
class DepthDistances:
    """
    What a student learns of its teacher's depth.

    :ivar variance: the term ``rmsle``.
    :ivar mean: the term ``depth_mean``.
    """

    variance: Distance
    mean: Distance


def log_sigma_rms(teacher_depth: torch.Tensor, teacher_variance: torch.Tensor,
                  depth: torch.Tensor, variance: torch.Tensor,
                  where: torch.Tensor | None = None) -> torch.Tensor:
    """
    Return the root of the mean of (ln(sigma_t / d_t) - ln(s / d))², one root for the batch.

    Equation 9 of log-depths, whose variances are far below its 1: it would be next to nothing.

    :param teacher_depth: [B, H, W], metres; pixels where it is 0 or not finite do not count.
    :param teacher_variance: [B, H, W], m²; ``depth`` and ``variance``: the student's.
    :param where: bool [B, H, W], pixels that count; None = all; 0 where there is none.
    """
    known, target, own = _in_logarithms(teacher_depth, teacher_variance, depth, variance, where)
    off = 0.5 * (target[1].log() - own[1].log())
    count = known.sum()
    root = (torch.where(known, off.square(), 0.0).sum() / count.clamp(min=1) + _EPSILON).sqrt()
    return torch.where(count > 0, root, 0.0)


def log_depth_l1(teacher_depth: torch.Tensor, teacher_variance: torch.Tensor,
                 depth: torch.Tensor, variance: torch.Tensor,
                 where: torch.Tensor | None = None) -> torch.Tensor:
    """Return the mean of |ln d_t - ln d|; parameters as of ``log_sigma_rms``."""
    known, target, own = _in_logarithms(teacher_depth, teacher_variance, depth, variance, where)
    off = (target[0] - own[0]).abs()
    return torch.where(known, off, 0.0).sum() / known.sum().clamp(min=1)


def _in_logarithms(teacher_depth: torch.Tensor, teacher_variance: torch.Tensor,
                   depth: torch.Tensor, variance: torch.Tensor, where: torch.Tensor | None,
                   ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor],
                              tuple[torch.Tensor, torch.Tensor]]:
    known = (teacher_depth > 0) & teacher_depth.isfinite() & (teacher_variance > 0) \
        & teacher_variance.isfinite()
    known = known if where is None else known & where
    # What does not count must not spoil the gradient: inf times 0 is NaN.
    taught = [torch.where(known, part, 1.0).float() for part in (teacher_depth, teacher_variance)]
    form, none = DEPTH_FORMS['log'], torch.ones_like(depth)  # There is no truth to bring along.
    mean, log_variance, _ = form.as_gaussian(taught[0], taught[1], none)
    own_mean, own_variance, _ = form.as_gaussian(depth.float(), variance.float(), none)
    return known, (mean, log_variance), (own_mean, own_variance)


def _paper_variance(teacher_depth: torch.Tensor, teacher_variance: torch.Tensor,
                    depth: torch.Tensor, variance: torch.Tensor,
                    where: torch.Tensor | None) -> torch.Tensor:
    return rmsle(teacher_variance, variance, where)


def _mean_depth(teacher_depth: torch.Tensor, teacher_variance: torch.Tensor,
                depth: torch.Tensor, variance: torch.Tensor,
                where: torch.Tensor | None) -> torch.Tensor:
    return depth_mean_l1(teacher_depth, depth, where)


DEPTH_DISTANCES: Mapping[str, DepthDistances] = {
    'linear': DepthDistances(_paper_variance, _mean_depth),
    'log': DepthDistances(log_sigma_rms, log_depth_l1),
    'median': DepthDistances(log_sigma_rms, log_depth_l1)}
