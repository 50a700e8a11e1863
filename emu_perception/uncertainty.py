# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Uncertainties as pure functions: entropy, predictive variance, moments of an ensemble."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import functional as F


def label_entropy_confidence(
        logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Return class, predictive entropy (equation 3 of EMUFormer) and confidence in one pass.

    With d = z - max z and e = exp(d): H = log(sum e) - sum(e·d) / sum(e), and the largest
    probability is 1 / sum(e): no softmax tensor and no logarithm of a probability.

    :param logits: [B, K, ...].
    :return: label [B, ...] int64, entropy [B, ...] in nats, confidence [B, ...] in 0..1.
    """
    top, label = logits.max(dim=1)
    shifted = logits - top.unsqueeze(1)
    weight = shifted.exp()
    total = weight.sum(dim=1)
    # Neither term is ever negative: the largest class adds 1 to the sum, and no d is above 0.
    entropy = total.log() - weight.mul_(shifted).sum(dim=1) / total
    return label, entropy, total.reciprocal()


def segmentation_maps(raw: torch.Tensor, size: tuple[int, int], temperature: float = 1.0,
                      strip: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Upsample quarter-size logits and reduce them to label, entropy and confidence.

    On a CPU it goes in strips of rows that stay in the cache; where the upsampling factor is a
    power of two, a strip needs one row of context above and below, and the result is the same.

    :param raw: [K, h, w] logits of one image.
    :param size: (height, width) of the maps.
    :param temperature: calibration, divides the logits.
    :param strip: rows of output at a time.
    :return: label uint8 [H, W], entropy float32 [H, W] nats, confidence float32 [H, W].
    """
    raw = (raw.float() / temperature).unsqueeze(0)
    height, width = size
    rows = raw.shape[-2]
    factor = height // rows
    whole = rows * factor == height and raw.shape[-1] * factor == width
    # Only a power of two leaves the same source coordinates after rounding in every strip.
    if raw.device.type != 'cpu' or not whole or factor & (factor - 1) or strip % factor:
        logits = F.interpolate(raw, size=size, mode='bilinear', align_corners=False)
        label, entropy, confidence = label_entropy_confidence(logits)
        return label[0].to(torch.uint8), entropy[0], confidence[0]
    label = torch.empty(size, dtype=torch.uint8)
    entropy, confidence = torch.empty(size), torch.empty(size)
    step = strip // factor
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        first, last = max(top - 1, 0), min(bottom + 1, rows)
        part = F.interpolate(raw[:, :, first:last], size=((last - first) * factor, width),
                             mode='bilinear', align_corners=False)
        part = part[:, :, (top - first) * factor:(bottom - first) * factor]
        maps = label_entropy_confidence(part)
        for target, source in zip((label, entropy, confidence), maps):
            target[top * factor:bottom * factor] = source[0]
    return label, entropy, confidence


def mean_uncertainties(entropy: torch.Tensor | None, depth_variance: torch.Tensor | None,
                       ) -> tuple[float | None, float | None]:
    """
    Return the two numbers that the risk flag is made of.

    The one function for node and calibration. Both maps are at the network's size and hold
    no padding. A value that is not finite makes its mean not finite, which raises the flag.

    :param entropy: [H, W], nats, or None.
    :param depth_variance: [H, W], m², or None.
    :return: mean entropy in nats, mean of the standard deviation in metres.
    """
    return (None if entropy is None else float(entropy.double().mean()),
            None if depth_variance is None else float(depth_variance.double().sqrt().mean()))


def ensemble_segmentation(probabilities: Iterable[torch.Tensor]) -> torch.Tensor:
    """
    Return the mean softmax of T samples, streamed: memory does not grow with T.

    :param probabilities: T tensors [B, K, H, W] that each sum to one over K.
    :raises ValueError: if there is no sample.
    """
    samples = iter(probabilities)
    first = next(samples, None)
    if first is None:
        raise ValueError('an ensemble needs at least one sample')
    mean = first.clone()
    for count, sample in enumerate(samples, start=2):
        mean.add_((sample - mean) / count)
    return mean


def ensemble_depth(samples: Iterable[tuple[torch.Tensor, torch.Tensor]],
                   ) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Return predictive mean and variance of T samples (equation 10 of EMUFormer), streamed.

    sigma² = mean of s_t² + biased variance of the means (Welford's update).

    :param samples: T pairs (mean after ReLU in metres, variance in m²), each [B, H, W].
    :return: mean [B, H, W] in metres, predictive variance [B, H, W] in m².
    :raises ValueError: if there is no sample.
    """
    pairs = iter(samples)
    first = next(pairs, None)
    if first is None:
        raise ValueError('an ensemble needs at least one sample')
    mean, aleatoric = first[0].clone(), first[1].clone()
    spread, count = torch.zeros_like(mean), 1
    for count, (sample_mean, sample_variance) in enumerate(pairs, start=2):
        delta = sample_mean - mean
        mean.add_(delta / count)
        spread.add_(delta * (sample_mean - mean))
        aleatoric.add_((sample_variance - aleatoric) / count)
    return mean, aleatoric + spread / count
