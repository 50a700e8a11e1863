# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Losses, each one function; equations are numbered as in EMUFormer (arXiv 2402.10580)."""

from __future__ import annotations

from collections.abc import Callable

from emu_perception.networks.depth_forms import DepthForm, LINEAR
import torch
from torch.nn import functional as F

from ..recipes.sections import LossOptions

IGNORE = 255
# Inside the root of equation 9: at 0 the root's gradient is infinite, and times 0 it is NaN.
RMSLE_EPSILON = 1e-8
# Of mutual information in nats and epistemic variance in m²: less is as good as nothing.
AMOUNT_FLOOR = 1e-3


def cross_entropy(logits: torch.Tensor, label: torch.Tensor,
                  weights: torch.Tensor | None = None) -> torch.Tensor:
    """
    Equation 2, mean over the labelled pixels of the batch; 0 where there is none.

    :param logits: [B, K, H, W].
    :param label: [B, H, W], any integer type, 255 = unlabelled.
    :param weights: of the classes, [K]; the mean is over pixels still, not over their weights,
        which would make a batch of rare classes count as any other.
    """
    target = label.long()
    total = F.cross_entropy(logits.float(), target, weights, ignore_index=IGNORE,
                            reduction='sum')
    # A batch without labels must give 0 with a gradient of 0, not 0/0.
    return total / (target != IGNORE).sum().clamp(min=1)


def gaussian_nll(mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor,
                 form: DepthForm = LINEAR) -> torch.Tensor:
    """
    Equation 6, ½((y - mu)²/s² + log s²), mean over the valid pixels of the batch, in float32.

    In the unit in which the form's density is a Gaussian: metres, or the logarithm of them.

    :param mean: [B, H, W], metres.
    :param variance: [B, H, W], m², above 0.
    :param depth: [B, H, W], metres, 0 = invalid.
    :param form: what the depth head says.
    """
    valid = depth > 0
    mean, variance, depth = _as_gaussian(mean, variance, depth, form)
    loss = 0.5 * ((depth - mean).square() / variance + variance.log())
    return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp(min=1)


def beta_gaussian_nll(mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor,
                      beta: float, form: DepthForm = LINEAR) -> torch.Tensor:
    """
    Equation 6 with each pixel weighted by s^(2·beta), no gradient through the weight.

    beta-NLL (Seitzer et al., ICLR 2022): 0 is equation 6, 1 gives the mean the gradient of MSE.
    """
    valid = depth > 0
    mean, variance, depth = _as_gaussian(mean, variance, depth, form)
    loss = 0.5 * ((depth - mean).square() / variance + variance.log())
    weighted = loss * variance.detach().pow(beta)
    return torch.where(valid, weighted, 0.0).sum() / valid.sum().clamp(min=1)


def mean_squared_error(mean: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    """Return the mean of (y - mu)² over valid pixels, m² (Tables 9 and 10); shapes as above."""
    valid = depth > 0
    squared = (depth - mean.float()).square()
    return torch.where(valid, squared, 0.0).sum() / valid.sum().clamp(min=1)


def huber(mean: torch.Tensor, depth: torch.Tensor, delta: float = 1.0) -> torch.Tensor:
    """Return the Huber loss over valid pixels (Tables 9 and 10): ½e² to delta m, then linear."""
    valid = depth > 0
    loss = F.huber_loss(mean.float(), depth, reduction='none', delta=delta)
    return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp(min=1)


def kl_divergence(teacher: torch.Tensor, logits: torch.Tensor,
                  where: torch.Tensor | None = None) -> torch.Tensor:
    """
    Equation 8, KL(q || p) summed over classes, mean over pixels.

    :param teacher: q, the teacher's mean softmax [B, K, H, W]; no gradient goes to it.
    :param logits: the student's [B, K, H, W].
    :param where: bool [B, H, W], pixels that count; None = all.
    """
    student = logits.float().log_softmax(dim=1)
    # xlogy: 0 · log 0 is 0, not NaN.
    divergence = (torch.xlogy(teacher, teacher) - teacher * student).sum(dim=1)
    return _mean(divergence, where)


def rmsle(teacher_variance: torch.Tensor, variance: torch.Tensor,
          where: torch.Tensor | None = None) -> torch.Tensor:
    """
    Equation 9: root of the mean of (log(sigma² + 1) - log(s² + 1))², one root for the batch.

    :param teacher_variance: sigma², predictive, m², [B, H, W].
    :param variance: s², the student's, m², [B, H, W].
    :param where: bool [B, H, W], pixels that count; None = all; 0 where there is none.
    """
    difference = teacher_variance.float().log1p() - variance.float().log1p()
    root = (_mean(difference.square(), where) + RMSLE_EPSILON).sqrt()
    # Exactly 0, not the root of epsilon: 0 is what says that there was nothing to compare.
    return root if where is None else torch.where(where.any(), root, 0.0)


def amount_l1(teacher_amount: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """
    Return the mean of |log(a_t + floor) - log(a + floor)|, of amounts whose sizes differ widely.

    A ratio counts alike wherever it is: of squared metres most are far below those of equation 9.

    :param teacher_amount: a_t, 0 or more, [B, H, W]; what is not finite does not count.
    :param amount: a, the student's, 0 or more, [B, H, W].
    """
    known = teacher_amount.isfinite()
    target = torch.where(known, teacher_amount, 0.0).float()
    off = (target + AMOUNT_FLOOR).log() - (amount.float() + AMOUNT_FLOOR).log()
    return _mean(off.abs(), known)


def depth_mean_l1(teacher_depth: torch.Tensor, depth: torch.Tensor,
                  where: torch.Tensor | None = None) -> torch.Tensor:
    """
    Return the mean of |log(d_t + 1) - log(d + 1)|, which passes on a teacher's mean depth.

    Beyond the paper, in the logarithm of equation 9: near the camera an error counts in metres,
    far away as a ratio, and its gradient stays below 1 down to depth 0, where log d has none.

    :param teacher_depth: d_t, metres, [B, H, W]; pixels where it is 0 or not finite do not count.
    :param depth: d, the student's mean, metres, [B, H, W].
    :param where: bool [B, H, W], pixels that count; None = all; 0 where there is none.
    """
    known = (teacher_depth > 0) & teacher_depth.isfinite()
    known = known if where is None else known & where
    # The sky of a teacher is infinitely far: inf times 0 would be NaN in the gradient.
    target = torch.where(known, teacher_depth, 0.0).float()
    return _mean((target.log1p() - depth.float().log1p()).abs(), known)


def centroid_l1(vectors: torch.Tensor, truth: torch.Tensor,
                on_instance: torch.Tensor) -> torch.Tensor:
    """
    Return the mean of |dx error| + |dy error| over the pixels of instances (arXiv 1705.07115).

    A learned noise exp(s) of it is the sum of both axes' Laplace scales.

    :param vectors: [B, 2, H, W], pixels.
    :param truth: same shape.
    :param on_instance: bool [B, H, W], pixels that count; 0 where there is none.
    """
    return _mean((vectors.float() - truth).abs().sum(1), on_instance)


def inverse_l1(inverse: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """
    Return the mean of |y - f| over pixels whose inverse depth is known (arXiv 1705.07115).

    :param inverse: [B, H, W], 1/m or px.
    :param truth: same shape, 0 = sky, negative = unknown.
    """
    return _mean((inverse.float() - truth).abs(), truth >= 0)


def inverse_mse(inverse: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean of (y - f)² over pixels whose inverse depth is known; shapes as above."""
    return _mean((inverse.float() - truth).square(), truth >= 0)


def _as_gaussian(mean: torch.Tensor, variance: torch.Tensor, depth: torch.Tensor,
                 form: DepthForm) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    # Of a depth that is not known any will do: a logarithm of 0 would spoil the gradient.
    known = torch.where(depth > 0, depth, 1.0)
    return form.as_gaussian(mean.float(), variance.float(), known)


def _mean(values: torch.Tensor, where: torch.Tensor | None) -> torch.Tensor:
    if where is None:
        return values.mean()
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)


DepthLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def depth_loss(options: LossOptions, form: DepthForm = LINEAR) -> DepthLoss:
    """
    Return the function (mean, variance, depth) -> loss that the options name.

    :param form: whose likelihood it is; mse and huber are of metres, whatever the form.
    """
    losses: dict[str, DepthLoss] = {
        'gnll': lambda mean, variance, depth: gaussian_nll(mean, variance, depth, form),
        'beta_nll': lambda mean, variance, depth: beta_gaussian_nll(mean, variance, depth,
                                                                    options.beta, form),
        'mse': lambda mean, variance, depth: mean_squared_error(mean, depth),
        'huber': lambda mean, variance, depth: huber(mean, depth, options.huber_delta)}
    return losses[options.depth]


VARIANCE_LOSSES = ('gnll', 'beta_nll')
