# Copyright 2026 The emu_perception authors
# SPDX-License-Identifier: Apache-2.0
"""Uncertainties as pure functions: entropy, predictive variance, moments of an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import torch
from torch.nn import functional as F

# Pixels of a run, a multiple of what any CPU's vectors hold: torch rounds what is left over at the
# end of a map otherwise than a whole vector. Of 40 classes 400 KB.
RUN = 2560


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


class MeanProbability:
    """
    The mean softmax of T samples [B, K, H, W], streamed: memory does not grow with T.

    :ivar mean: of the samples so far; None before the first.
    """

    def __init__(self) -> None:
        self.mean: torch.Tensor | None = None
        self.count = 0

    def add(self, probabilities: torch.Tensor) -> None:
        """Add a sample that sums to one over K; the first is kept, and written to by others."""
        self.count += 1
        if self.mean is None:
            self.mean = probabilities
        else:
            self.mean.lerp_(probabilities, 1.0 / self.count)


class DepthMixture:
    """
    Predictive mean and variance of T samples (equation 10 of EMUFormer), streamed.

    sigma² = mean of s_t² + biased variance of the means (Welford's update).

    :ivar mean: [B, H, W], metres; None before the first sample.
    """

    def __init__(self) -> None:
        self.mean: torch.Tensor | None = None
        self._aleatoric = self._spread = torch.empty(0)
        self.count = 0

    def add(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Add a sample: mean after ReLU in metres and variance in m², each [B, H, W]."""
        self.count += 1
        if self.mean is None:
            self.mean, self._aleatoric = mean.clone(), variance.clone()
            self._spread = torch.zeros_like(mean)
            return
        delta = mean - self.mean
        self.mean.add_(delta, alpha=1.0 / self.count)
        self._spread.addcmul_(delta, mean - self.mean)
        self._aleatoric.lerp_(variance, 1.0 / self.count)

    @property
    def aleatoric(self) -> torch.Tensor:
        """Return the mean of the samples' variances [B, H, W], m²."""
        return self._aleatoric

    @property
    def epistemic(self) -> torch.Tensor:
        """Return the biased variance of the samples' means [B, H, W], m²."""
        return self._spread / max(1, self.count)

    @property
    def variance(self) -> torch.Tensor:
        """Return the predictive variance [B, H, W] in m²."""
        return self._aleatoric + self._spread / max(1, self.count)


@dataclass(frozen=True)
class PredictiveMoments:
    """
    What T samples say together; None for a task they do not have.

    :ivar probabilities: [B, K, H, W], mean softmax.
    :ivar depth: [B, H, W], metres, mean of the means after ReLU.
    :ivar depth_variance: [B, H, W], m², equation 10.
    :ivar mutual_information: [B, H, W], nats, 0 or more: the entropy of the mean less the mean
        entropy (Gal 2016, section 3.3); where it is asked for.
    :ivar depth_epistemic: [B, H, W], m², the biased variance of the samples' means; likewise.
    """

    probabilities: torch.Tensor | None
    depth: torch.Tensor | None
    depth_variance: torch.Tensor | None
    mutual_information: torch.Tensor | None = None
    depth_epistemic: torch.Tensor | None = None


def by_class(maps: torch.Tensor) -> torch.Tensor:
    """
    Return maps [B, K, H, W] with each class's map in one piece, as torch.softmax wants them.

    It would copy what a network in channels_last gives value by value; torch transposes a matrix
    in blocks, at a third of the time.
    """
    if maps.is_contiguous() or not maps.is_contiguous(memory_format=torch.channels_last):
        return maps.contiguous()
    pixels = maps.shape[2] * maps.shape[3]
    return torch.stack([part.permute(1, 2, 0).reshape(pixels, -1).t().contiguous()
                        for part in maps]).view(maps.shape) if len(maps) > 1 else (
        maps[0].permute(1, 2, 0).reshape(pixels, -1).t().contiguous().view(maps.shape))


def class_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """
    Return the softmax over classes, float32, each class's map in one piece.

    The bits are those of ``by_class(logits.float()).softmax(1)``, at half its time for what a
    network in channels_last gives on a CPU: in runs of pixels that stay in the cache.

    :param logits: [B, K, H, W].
    """
    logits = logits.float()
    if not goes_in_runs(logits):
        return by_class(logits).softmax(dim=1)
    found = torch.empty(logits.shape)
    for image, maps in zip(logits, found.flatten(2)):
        for run, _, part in softmax_runs(pixels_of(image)):
            maps[:, run].copy_(part)
    return found


def goes_in_runs(logits: torch.Tensor) -> bool:
    """Tell whether the softmax of logits [B, K, H, W] is quicker in ``softmax_runs``."""
    return (logits.device.type == 'cpu' and logits.dtype == torch.float32
            and not logits.requires_grad and not logits.is_contiguous()
            and logits.is_contiguous(memory_format=torch.channels_last))


def pixels_of(logits: torch.Tensor) -> torch.Tensor:
    """Return the logits [K, H, W] of an image in channels_last as [N, K], in place."""
    return logits.permute(1, 2, 0).flatten(0, 1)


def softmax_runs(pixels: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """
    Yield the softmax of pixels in runs that stay in a CPU's cache.

    :param pixels: logits float32 [N, K], in one piece.
    :return: which pixels, their logits [K, n] and probabilities [K, n]. Both may be written to,
        and are with the next run.
    """
    count, classes = pixels.shape
    memory = torch.empty(2, classes * min(RUN, count))
    for first in range(0, count, RUN):
        part = pixels[first:first + RUN]
        turned, found = (x[:part.numel()].view(classes, len(part)) for x in memory)
        # OpenCV transposes in registers, torch value by value.
        cv2.transpose(part.numpy(), turned.numpy())
        torch.softmax(turned, 0, out=found)
        yield slice(first, first + len(part)), turned, found


def predictive_moments(samples: Iterable[tuple[torch.Tensor | None, torch.Tensor | None,
                                               torch.Tensor | None]],
                       epistemic: bool = False) -> PredictiveMoments:
    """
    Reduce T samples as they come; no two of them are held at once.

    :param samples: T triples of logits [B, K, H, W], depth [B, H, W] and variance [B, H, W];
        None for a task a network does not have.
    :param epistemic: whether the parts that samples disagree by are asked for.
    :raises ValueError: if there is no sample.
    """
    segmentation, depth = MeanProbability(), DepthMixture()
    entropies: torch.Tensor | float = 0.0
    for logits, mean, variance in samples:
        if logits is not None:
            probabilities = class_probabilities(logits)
            if epistemic:
                entropies = entropies + _entropy(probabilities)
            segmentation.add(probabilities)
            del probabilities  # The mean's own now.
        if mean is not None and variance is not None:
            depth.add(mean, variance)
        logits = mean = variance = None  # Freed before the next network runs.
    if segmentation.mean is None and depth.mean is None:
        raise ValueError('an ensemble needs at least one sample')
    mean = segmentation.mean
    return PredictiveMoments(
        mean, depth.mean, None if depth.mean is None else depth.variance,
        # Rounding may leave less than nothing where all agree.
        (_entropy(mean) - entropies / segmentation.count).clamp(min=0.0)
        if epistemic and mean is not None else None,
        depth.epistemic if epistemic and depth.mean is not None else None)


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    return -torch.xlogy(probabilities, probabilities).sum(dim=1)
